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
    return np.where(lane_left(centreline, centres, in_intersection) < 0, 1.0, 0.0)


def lane_left(centreline: np.ndarray, centres: np.ndarray, in_intersection: np.ndarray) -> np.ndarray:
    """(N,) the first step at which the ego has been off the centreline for too long, -1 where there is none."""
    line = shapely.linestrings(centreline[:, :2])
    shapely.prepare(line)
    deviates = shapely.distance(line, shapely.points(centres)) > MAX_DEVIATION
    in_a_row = np.zeros(len(centres), np.int64)
    left = np.full(len(centres), -1)
    for step in range(centres.shape[1]):
        counted = np.where(deviates[:, step], in_a_row + 1, 0)
        in_a_row = np.where(in_intersection[:, step], in_a_row, counted)
        left[(in_a_row >= TOLERATED_STEPS) & (left < 0)] = step
    return left
