"""Positions on the drivable polygons of a map."""

from __future__ import annotations

import numpy as np
import shapely

from wotempo.maps.index import MapIndex

ROADS = ("lane_groups_polygons", "intersections", "carpark_areas")


def on_road(city: MapIndex, poses: np.ndarray) -> np.ndarray:
    """(n,) bool: which positions (n, ≥ 2) lie on a drivable polygon."""
    points = shapely.points(poses[:, :2])
    inside = np.zeros(len(poses), bool)
    for layer in ROADS:
        if len(polygons := city.layer(layer).geometry):
            hits, _ = shapely.STRtree(polygons).query(points, predicate="within")
            inside[hits] = True
    return inside
