"""Where the ego's box lies on the map, at every step of every proposal (pdm_score.md §5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import shapely

from wotempo.pdm.states import CENTRE


class AreaKind(IntEnum):
    """Layers that matter. Polygons of roadblock *connectors* do not: a turn is drivable by its intersection."""

    ROADBLOCK = 0
    LANE = 1
    LANE_CONNECTOR = 2
    INTERSECTION = 3
    CARPARK = 4


@dataclass(frozen=True)
class AreaMap:
    """The P polygons around a scene, global frame."""

    polygons: np.ndarray  # (P,) shapely Polygon
    kind: np.ndarray  # (P,) uint8 of AreaKind
    on_route: np.ndarray  # (P,) bool, lanes and connectors of the repaired route


@dataclass(frozen=True)
class EgoAreas:
    """Flags (N, T) bool."""

    multiple_lanes: np.ndarray  # corners in more than one lane, and no lane holds all four
    non_drivable: np.ndarray  # some corner outside every drivable polygon
    oncoming: np.ndarray  # centre outside every lane of the route
    in_intersection: np.ndarray  # rear axle inside an intersection

    @property
    def bad(self) -> np.ndarray:
        """Where a sideways collision is the ego's fault."""
        return self.multiple_lanes | self.non_drivable


def ego_areas(area_map: AreaMap, points: np.ndarray, rear_axle: np.ndarray) -> EgoAreas:
    """Flags from box points (N, T, 5, 2) and rear axles (N, T, 2). A point on a border is outside the polygon.

    Points are sorted by x once, so that each polygon is only asked about the points in its bounding box.
    """
    rows, steps = points.shape[:2]
    places = rows * steps
    # (places, 6): the five box points, then the rear axle
    xy = np.concatenate((points, rear_axle[:, :, None]), 2).reshape(-1, 2)
    columns = points.shape[2] + 1
    order = np.argsort(xy[:, 0])
    x, y = xy[order, 0], xy[order, 1]

    lanes_touched = np.zeros(places, np.int32)
    in_one_lane = np.zeros(places, bool)
    drivable = np.zeros((places, columns), bool)
    on_route = np.zeros(places, bool)
    in_intersection = np.zeros(places, bool)
    shapely.prepare(area_map.polygons)
    bounds = shapely.bounds(area_map.polygons)
    starts, ends = np.searchsorted(x, bounds[:, 0], "left"), np.searchsorted(x, bounds[:, 2], "right")
    for index, polygon in enumerate(area_map.polygons):
        near_y = y[starts[index] : ends[index]]
        candidates = starts[index] + np.flatnonzero((near_y >= bounds[index, 1]) & (near_y <= bounds[index, 3]))
        if len(candidates) == 0:
            continue
        inside = order[candidates[shapely.contains_xy(polygon, x[candidates], y[candidates])]]
        place, point = np.divmod(inside, columns)
        kind = area_map.kind[index]
        if kind in (AreaKind.LANE, AreaKind.LANE_CONNECTOR):
            corners = np.bincount(place[point < CENTRE], minlength=places)
            lanes_touched += corners > 0
            in_one_lane |= corners == CENTRE
            if area_map.on_route[index]:
                on_route[place[point == CENTRE]] = True
        else:
            drivable[place, point] = True
            if kind == AreaKind.INTERSECTION:
                in_intersection[place[point > CENTRE]] = True

    shape = (rows, steps)
    return EgoAreas(
        multiple_lanes=((lanes_touched > 1) & ~in_one_lane).reshape(shape),
        non_drivable=(~drivable[:, :CENTRE].all(-1)).reshape(shape),
        oncoming=(~on_route).reshape(shape),
        in_intersection=in_intersection.reshape(shape),
    )
