"""Lane keeping: the ego stays near the route's centreline."""

from __future__ import annotations

import numpy as np
import shapely

MAX_DEVIATION = 0.5  # metres
TOLERATED_STEPS = 20  # in a row, 2 s; reaching it fails


def lane_keeping(centreline: np.ndarray, centres: np.ndarray, in_intersection: np.ndarray) -> np.ndarray:
    """1 or 0, (N,), from a polyline (M, ≥2), box centres (N, T, 2) and whether these lie in an intersection (N, T).

    Steps in an intersection neither count nor end the row of those that do.
    """
    line = shapely.linestrings(centreline[:, :2])
    shapely.prepare(line)
    deviates = shapely.distance(line, shapely.points(centres)) > MAX_DEVIATION
    in_a_row = np.zeros(len(centres), np.int64)
    kept = np.ones(len(centres))
    for step in range(centres.shape[1]):
        counted = np.where(deviates[:, step], in_a_row + 1, 0)
        in_a_row = np.where(in_intersection[:, step], in_a_row, counted)
        kept[in_a_row >= TOLERATED_STEPS] = 0.0
    return kept
