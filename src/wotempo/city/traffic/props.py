"""Everyone and everything beside the traffic: parked cars, cyclists, walkers, work sites, things left lying about.

Their motion does not depend on the traffic; the traffic never comes where they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from wotempo.city.streets.curves import Line, direction
from wotempo.city.streets.network import Network
from wotempo.city.streets.surroundings import Surroundings
from wotempo.city.traffic.fleet import PAINTS

PARKED_GAP = 7.0  # metres between the middles of parked cars, at least
PARKED_FROM_KERB = 1.15  # metres to their middle
PARKED_BEND = 1 / 110.0  # nobody parks on the outside of a sharper bend, where everybody heads for him
CLEAR_OF_ENDS = 14.0  # metres that parked cars keep from junctions
WALKERS_PER_METRE = 1 / 55.0  # of walkway along roads
ORANGE, RED_WHITE = (235, 110, 30), (205, 60, 50)


@dataclass(frozen=True)
class Thing:
    """Something that stands on the ground and does not move: at ``point`` (2,) in local metres, turned by ``yaw``."""

    kind: str  # of CLASS_NAMES
    point: np.ndarray
    yaw: float
    size: ArrayLike  # (3,) length, width, height
    colour: ArrayLike  # (3,) 0..255

    def poses(self, t: np.ndarray) -> np.ndarray:
        """(T,) seconds -> (T, 3) x, y, heading, all the same."""
        return np.tile([*self.point, self.yaw], (len(t), 1))


@dataclass(frozen=True)
class Stroller:
    """A walker or cyclist on a line beside a road: from ``start`` on with ``pace`` (negative: against the line)."""

    line: Line
    start: float
    pace: float
    size: ArrayLike
    kind: str
    colour: ArrayLike

    def poses(self, t: np.ndarray) -> np.ndarray:
        """(T,) seconds -> (T, 3) x, y, heading. Walkers turn round at the end of the road, cyclists wait there."""
        s = self.start + self.pace * t
        low, high = 1.0, self.line.length - 1.0
        if self.kind == "bicycle":
            s, back = np.clip(s, low, high), np.zeros(len(t), bool)
        else:
            lap = np.mod(s - low, 2 * (high - low))
            back = lap > high - low
            s = low + np.where(back, 2 * (high - low) - lap, lap)
        x, y, heading = (np.interp(s, self.line.s, a) for a in (*self.line.points.T, self.line.heading))
        return np.stack([x, y, heading + np.pi * (back ^ (self.pace < 0))], 1)


def draw_props(
    network: Network, surroundings: Surroundings, closed: frozenset[int], rng: np.random.Generator
) -> list[Thing | Stroller]:
    """One log's. Every wide shoulder is used for parking, by cyclists, for a small work site, or stays empty."""
    things: list[Thing] = []
    strollers: list[Stroller] = []
    for road in network.roads:
        wide = road.half_width - road.lane_edge > 2.0
        for side in (-1, 1):
            base = road.centre if side < 0 else road.centre.reversed()  # drives with the traffic of that side
            use = rng.choice(["parked", "cyclists", "work", "empty"], p=[0.5, 0.25, 0.1, 0.15]) if wide else "empty"
            if use == "parked":
                _park_along(things, network, surroundings, Line(base.parallel(PARKED_FROM_KERB - road.half_width)), rng)
            elif use == "cyclists":
                strollers += _cyclists(Line(base.parallel(-road.lane_edge - 1.0)), rng)
            elif use == "work":
                middle = Line(base.parallel(-(road.lane_edge + road.half_width) / 2 - 0.2))
                start = rng.uniform(0.3, 0.5) * middle.length
                _work_site(things, middle, start, start + rng.uniform(12.0, 24.0), 0.9, rng)
            strollers += _walkers(base, road.half_width, rng)
            _litter(things, surroundings, base, road.half_width, rng)
    for park in surroundings.car_parks:
        for x, y, heading in park.bays[rng.random(len(park.bays)) < 0.55]:
            _parked_car(things, np.array([x, y]), heading + np.pi * rng.integers(2), rng)
    for lane in closed:
        line, width = network.elements[lane].line, network.elements[lane].width
        first = rng.uniform(0.2, 0.35) * line.length
        _work_site(things, line, first, max(first + 20.0, rng.uniform(0.6, 0.8) * line.length), width / 2 - 0.4, rng)
    return [*strollers, *things]


def _parked_car(things: list[Thing], point: np.ndarray, yaw: float, rng: np.random.Generator) -> None:
    size = rng.uniform((4.0, 1.72, 1.4), (5.0, 1.92, 1.85))
    things.append(Thing("vehicle", point, yaw + rng.normal(0, 0.015), size, PAINTS[rng.integers(len(PAINTS))]))


def _park_along(
    things: list[Thing], network: Network, surroundings: Surroundings, line: Line, rng: np.random.Generator
) -> None:
    """Parked cars on a shoulder, clear of crosswalks and driveways."""
    s = rng.uniform(CLEAR_OF_ENDS, CLEAR_OF_ENDS + 8.0)
    keep_off = [c.polygon.buffer(7.0) for c in network.crosswalks if c.node < 0]
    keep_off += [park.driveway.buffer(5.0) for park in surroundings.car_parks]
    while s < line.length - CLEAR_OF_ENDS:
        point, heading = line.at(s)
        outside = np.interp(s, line.s, line.curvature) > PARKED_BEND
        if not outside and not any(_inside(area, point) for area in keep_off):
            _parked_car(things, point, heading, rng)
        s += PARKED_GAP + rng.exponential(5.0)


def _inside(area, point: np.ndarray) -> bool:
    low_x, low_y, high_x, high_y = area.bounds
    return low_x < point[0] < high_x and low_y < point[1] < high_y


def _work_site(
    things: list[Thing], line: Line, start: float, end: float, half: float, rng: np.random.Generator
) -> None:
    """Cones along the traffic side (the left) of a strip of half width ``half``, barriers across its ends, a sign."""
    end = min(end, line.length - 4.0)
    left = line.parallel(half - 0.1)
    for s in np.arange(start, end, rng.uniform(3.5, 6.0)):
        point = np.array([np.interp(s, line.s, left[:, k]) for k in (0, 1)])
        things.append(Thing("traffic_cone", point, 0.0, (0.4, 0.4, 0.75), ORANGE))
    for s in (start - 1.0, end + 1.0):
        point, heading = line.at(s)
        things.append(Thing("barrier", point, heading, (0.5, 2 * half - 0.4, 1.0), RED_WHITE))
    point, heading = line.at(start - 4.0)
    things.append(Thing("czone_sign", point, heading, (0.3, 0.9, 1.9), ORANGE))
    for _ in range(int(rng.integers(1, 4))):
        point, heading = line.at(rng.uniform(start + 2.0, end - 2.0))
        spot = point + rng.uniform(-0.4, 0.4) * half * direction(heading + np.pi / 2)
        if rng.random() < 0.5:
            size = rng.uniform((0.6, 0.6, 0.5), (1.6, 1.0, 1.2))
            things.append(Thing("generic_object", spot, heading, size, (150, 140, 120)))
        else:
            size = rng.uniform((0.5, 0.5, 1.65), (0.7, 0.7, 1.9))
            things.append(Thing("pedestrian", spot, heading, size, ORANGE))


def _cyclists(line: Line, rng: np.random.Generator) -> list[Stroller]:
    found = []
    for _ in range(1 + rng.poisson(line.length / 90.0)):
        start, pace = float(rng.uniform(2.0, line.length - 10.0)), float(rng.uniform(2.5, 5.5))
        size = rng.uniform((1.65, 0.55, 1.55), (1.85, 0.7, 1.8))
        found.append(Stroller(line, start, pace, size, "bicycle", rng.integers(30, 230, 3)))
    return found


def _walkers(base: Line, half_width: float, rng: np.random.Generator) -> list[Stroller]:
    found = []
    for _ in range(rng.poisson(base.length * WALKERS_PER_METRE)):
        line = Line(base.parallel(-(half_width + rng.uniform(1.1, 2.9))))
        pace = float(rng.uniform(0.8, 1.8) * rng.choice([-1, 1]) * (rng.random() > 0.12))
        size = rng.uniform((0.5, 0.5, 1.55), (0.75, 0.75, 1.9))
        colour = rng.integers(20, 230, 3)
        found.append(Stroller(line, float(rng.uniform(2.0, base.length - 2.0)), pace, size, "pedestrian", colour))
    return found


def _litter(
    things: list[Thing], surroundings: Surroundings, base: Line, half_width: float, rng: np.random.Generator
) -> None:
    """Bins, boxes and the like on the kerb side of the walkway."""
    line = Line(base.parallel(-(half_width + 0.85)))
    for _ in range(rng.poisson(line.length / 70.0)):
        point, heading = line.at(rng.uniform(8.0, line.length - 8.0))
        if not any(_inside(park.driveway.buffer(2.0), point) for park in surroundings.car_parks):
            size = rng.uniform((0.5, 0.5, 0.8), (0.9, 0.8, 1.3))
            things.append(Thing("generic_object", point, heading, size, rng.integers(50, 190, 3)))
