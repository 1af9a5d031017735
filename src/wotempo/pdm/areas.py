"""The areas of the map in which the ego's box lies, at every step of every proposal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import njit

from wotempo.pdm.inside import containing
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
    centre_in_intersection: np.ndarray

    @property
    def bad(self) -> np.ndarray:
        """Where a sideways collision is the ego's fault."""
        return self.multiple_lanes | self.non_drivable


def ego_areas(area_map: AreaMap, points: np.ndarray, rear_axle: np.ndarray) -> EgoAreas:
    """Flags from box points (N, T, 5, 2) and rear axles (N, T, 2). A point on a border is outside the polygon."""
    shape = points.shape[:2]
    is_lane = (area_map.kind == AreaKind.LANE) | (area_map.kind == AreaKind.LANE_CONNECTOR)
    is_intersection = area_map.kind == AreaKind.INTERSECTION

    def within_any(which: np.ndarray, xy: np.ndarray) -> np.ndarray:
        return np.diff(containing(area_map.polygons[which], xy.reshape(-1, 2))[0]).reshape(shape) > 0

    corners = containing(area_map.polygons, points[:, :, :CENTRE].reshape(-1, 2))
    multiple_lanes, non_drivable = _of_corners(*corners, is_lane).reshape(2, *shape)
    return EgoAreas(
        multiple_lanes=multiple_lanes,
        non_drivable=non_drivable,
        oncoming=~within_any(is_lane & area_map.on_route, points[:, :, CENTRE]),
        in_intersection=within_any(is_intersection, rear_axle),
        centre_in_intersection=within_any(is_intersection, points[:, :, CENTRE]),
    )


@njit(cache=True)
def _of_corners(first, members, is_lane):
    """multiple_lanes and non_drivable (2, S), from the polygons that contain each of the 4·S corners."""
    flags = np.zeros((2, (len(first) - 1) // 4), np.bool_)
    held = np.zeros(len(is_lane), np.uint8)  # corners of this step's box in each lane, one bit each
    touched = np.empty(len(is_lane), np.int64)
    for s in range(flags.shape[1]):
        lanes = drivable = 0
        for k in range(4):
            for p in members[first[4 * s + k] : first[4 * s + k + 1]]:
                if not is_lane[p]:
                    drivable |= 1 << k
                    continue
                if held[p] == 0:
                    touched[lanes] = p
                    lanes += 1
                held[p] |= 1 << k
        whole = False
        for lane in touched[:lanes]:
            whole |= held[lane] == 15
            held[lane] = 0
        flags[0, s] = lanes > 1 and not whole
        flags[1, s] = drivable != 15
    return flags
