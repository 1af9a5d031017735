"""Traffic light compliance: the ego's box stays off the connectors of its route while their light is red."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from wotempo.maps import MapIndex
from wotempo.navsim.schema import Frame
from wotempo.pdm.centreline import route_lanes
from wotempo.pdm.objects import STEPS_PER_FRAME
from wotempo.pdm.states import CENTRE, NUM_STEPS


@dataclass(frozen=True)
class RedLights:
    """The R connectors whose light is red at some step."""

    polygons: np.ndarray  # (R,) shapely Polygon, global frame
    red: np.ndarray  # (41, R) bool
    connectors: tuple[str, ...] = ()  # (R) ids; empty where nothing asks for them


def red_lights(frames: Sequence[Frame], map_index: MapIndex, route: Sequence[str]) -> RedLights:
    """Lights of the current frame and the 8 that follow; each holds until the next frame.

    route: roadblock ids as the log gives them. NAVSIM does not use the repaired route here.
    """
    on_route = set(route_lanes(map_index, route))
    red: dict[str, np.ndarray] = {}
    for frame_step, frame in enumerate(frames):
        shown = slice(STEPS_PER_FRAME * frame_step, STEPS_PER_FRAME * (frame_step + 1))
        for connector, is_red in frame.traffic_lights:
            if is_red and str(connector) in on_route:
                red.setdefault(str(connector), np.zeros(NUM_STEPS, bool))[shown] = True
    return RedLights(
        polygons=np.array([map_index.lane(connector).polygon for connector in red], object),
        red=np.array(list(red.values()), bool).reshape(-1, NUM_STEPS).T,
        connectors=tuple(red),
    )


def traffic_light_compliance(lights: RedLights, points: np.ndarray) -> np.ndarray:
    """1 or 0, (N,), from box points (N, 41, 5, 2). Touching a red connector fails."""
    score = np.ones(len(points))
    for _, rows, _ in red_crossings(lights, points):
        score[rows] = 0.0
    return score


def red_crossings(lights: RedLights, points: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """For each red connector its place in ``lights``, and proposals and steps at which a box touches it, (n,) each."""
    low, high = points[:, :, :CENTRE].min(2), points[:, :, :CENTRE].max(2)
    for place, (polygon, red) in enumerate(zip(lights.polygons, lights.red.T, strict=True)):
        bounds = shapely.bounds(polygon)
        near = red & np.all((low <= bounds[2:]) & (high >= bounds[:2]), -1)
        rows, steps = np.nonzero(near)
        crossed = shapely.intersects(polygon, shapely.polygons(points[near][:, :CENTRE]))
        yield place, rows[crossed], steps[crossed]
