"""Progress along the route's centreline, and compliance with its direction."""

from __future__ import annotations

import numpy as np
import shapely

ONCOMING_WINDOW = 11  # samples, 1 s
ONCOMING_TOLERATED, ONCOMING_VIOLATED = 2.0, 6.0  # metres within the window


def progress_along(centreline: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Metres (N,) ≥ 0 gained along a polyline (M, ≥2) from the first to the last of box centres (N, T, 2)."""
    line = shapely.linestrings(centreline[:, :2])
    shapely.prepare(line)
    start = shapely.line_locate_point(line, shapely.points(centres[:, 0]))
    end = shapely.line_locate_point(line, shapely.points(centres[:, -1]))
    return np.maximum(end - start, 0.0)


def direction_compliance(centres: np.ndarray, oncoming: np.ndarray) -> np.ndarray:
    """1, 0.5 or 0, (N,): metres driven off the route's lanes within any second, from (N, T, 2) and flags (N, T)."""
    driven = np.linalg.norm(np.diff(centres, axis=1), axis=-1)
    driven = np.pad(driven, ((0, 0), (ONCOMING_WINDOW, 0))) * np.pad(oncoming, ((0, 0), (ONCOMING_WINDOW - 1, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(driven, ONCOMING_WINDOW, axis=1)
    worst = windows.sum(-1).max(-1)
    return np.where(worst < ONCOMING_TOLERATED, 1.0, np.where(worst < ONCOMING_VIOLATED, 0.5, 0.0))
