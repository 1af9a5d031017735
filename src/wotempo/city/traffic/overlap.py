"""The test whether two oriented boxes touch."""

from __future__ import annotations

import numpy as np


def boxes_touch(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Boxes (..., 5) x, y, length, width, yaw -> (...,) bool; shapes broadcast. Separating axes, touching counts."""
    gap = b[..., :2] - a[..., :2]
    apart = np.zeros(gap.shape[:-1], bool)
    sides = [_half_axes(box) for box in (a, b)]
    for axes in sides:
        for axis in axes:
            length = np.hypot(axis[..., 0], axis[..., 1])
            reach = sum(np.abs((half * axis).sum(-1)) for half in (*sides[0], *sides[1]))
            apart |= np.abs((gap * axis).sum(-1)) > reach + 1e-9 * length
    return ~apart


def _half_axes(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vectors from the centre to the middle of the front and of the left side, each (..., 2)."""
    cos, sin = np.cos(box[..., 4]), np.sin(box[..., 4])
    forward = np.stack([cos, sin], -1) * box[..., 2:3] / 2
    left = np.stack([-sin, cos], -1) * box[..., 3:4] / 2
    return forward, left
