"""Progress along the route's centreline, and compliance with its direction."""

from __future__ import annotations

import numpy as np
from numba import njit

ONCOMING_WINDOW = 11  # samples, 1 s
ONCOMING_TOLERATED, ONCOMING_VIOLATED = 2.0, 6.0  # metres within the window


def progress_along(centreline: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Metres (N,) ≥ 0 gained along a polyline (M, ≥2) from the first to the last of box centres (N, T, 2)."""
    line = centreline[:, :2] - centreline[0, :2]
    along = _locate(line, np.concatenate((centres[:, 0], centres[:, -1])) - centreline[0, :2])
    return np.maximum(along[len(centres) :] - along[: len(centres)], 0.0)


@njit(cache=True)
def _locate(line, points):
    """Arc length (Q,) of the point of a polyline (M, 2) that is nearest to each point (Q, 2); the first, if several."""
    start = np.zeros(len(line))  # arc length at each vertex
    for k in range(1, len(line)):
        start[k] = start[k - 1] + np.hypot(line[k, 0] - line[k - 1, 0], line[k, 1] - line[k - 1, 1])
    along = np.zeros(len(points))
    for q in range(len(points)):
        x, y = points[q, 0], points[q, 1]
        if q and x == points[q - 1, 0] and y == points[q - 1, 1]:
            along[q] = along[q - 1]  # proposals start at the same place
            continue
        best, reach = np.inf, np.inf
        k = 0
        while k < len(line) - 1:
            ax, ay = line[k, 0], line[k, 1]
            # No vertex nearer than its distance less the way to it along the line: skip what cannot win.
            away = np.hypot(x - ax, y - ay)
            if away > reach:
                skipped = k
                while skipped < len(line) - 1 and start[skipped + 1] - start[k] < away - reach:
                    skipped += 1
                if skipped > k:
                    k = skipped
                    continue
            dx, dy = line[k + 1, 0] - ax, line[k + 1, 1] - ay
            length = dx * dx + dy * dy
            share = ((x - ax) * dx + (y - ay) * dy) / length if length > 0 else 0.0
            share = min(max(share, 0.0), 1.0)
            distance = (x - ax - share * dx) ** 2 + (y - ay - share * dy) ** 2
            if distance < best:
                best, reach = distance, np.sqrt(distance)
                along[q] = start[k] + share * np.sqrt(length)
            k += 1
    return along


def direction_compliance(centres: np.ndarray, oncoming: np.ndarray) -> np.ndarray:
    """1, 0.5 or 0, (N,): metres driven off the route's lanes within any second, from (N, T, 2) and flags (N, T)."""
    worst = oncoming_metres(centres, oncoming).max(-1)
    return np.where(worst < ONCOMING_TOLERATED, 1.0, np.where(worst < ONCOMING_VIOLATED, 0.5, 0.0))


def oncoming_metres(centres: np.ndarray, oncoming: np.ndarray) -> np.ndarray:
    """(N, T) metres driven off the route's lanes within the second before each step; arguments as before."""
    driven = np.linalg.norm(np.diff(centres, axis=1), axis=-1)
    driven = np.pad(driven, ((0, 0), (ONCOMING_WINDOW, 0))) * np.pad(oncoming, ((0, 0), (ONCOMING_WINDOW - 1, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(driven, ONCOMING_WINDOW, axis=1)
    return windows.sum(-1)
