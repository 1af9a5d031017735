"""Where the ego's box lies on the map, at every step of every proposal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import shapely

from wotempo.pdm.inside import contains_points
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
    asked = np.concatenate((np.moveaxis(points, 2, 0), rear_axle[None]))  # (6, N, T, 2)
    xy = asked.reshape(-1, 2)
    bounds = shapely.bounds(area_map.polygons)
    near = ((bounds[:, 2:] >= xy.min(0)) & (bounds[:, :2] <= xy.max(0))).all(1)
    kind, on_route = area_map.kind[near], area_map.on_route[near]
    inside = contains_points(area_map.polygons[near], xy).reshape(-1, len(asked), *shape)  # (P, 6, N, T)

    is_intersection = kind == AreaKind.INTERSECTION
    is_lane = (kind == AreaKind.LANE) | (kind == AreaKind.LANE_CONNECTOR)
    corners_in_lane = inside[is_lane, :CENTRE].sum(1, dtype=np.uint8)  # (P, N, T)
    return EgoAreas(
        multiple_lanes=((corners_in_lane > 0).sum(0) > 1) & ~(corners_in_lane == CENTRE).any(0),
        non_drivable=~np.all(inside[~is_lane, :CENTRE].any(0), axis=0),
        oncoming=~inside[is_lane & on_route, CENTRE].any(0),
        in_intersection=inside[is_intersection, -1].any(0),
        centre_in_intersection=inside[is_intersection, CENTRE].any(0),
    )
