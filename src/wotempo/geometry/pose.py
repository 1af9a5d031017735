"""SE(2) poses ``(x, y, heading)`` in metres and radians, for numpy arrays and torch tensors alike.

Frame convention: x forward, y left, heading counter-clockwise. ``compose(a, b)`` is a∘b: pose ``b``, given in the frame
of ``a``, expressed in the frame that ``a`` is given in. Global poses are about 1e6 m: keep them in float64 until
relative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", np.ndarray, "torch.Tensor")


def _ops(a: Array):
    if isinstance(a, np.ndarray):
        return np
    import torch  # here, because importing it costs each worker process of the town three seconds

    return torch if isinstance(a, torch.Tensor) else np


def wrap_angle(angle: Array) -> Array:
    """Angle in (-π, π]. Any shape."""
    ops = _ops(angle)
    return ops.arctan2(ops.sin(angle), ops.cos(angle))


def compose(a: Array, b: Array) -> Array:
    """a∘b for poses (..., 3); the heading is wrapped."""
    ops = _ops(a)
    cos, sin = ops.cos(a[..., 2]), ops.sin(a[..., 2])
    x = a[..., 0] + cos * b[..., 0] - sin * b[..., 1]
    y = a[..., 1] + sin * b[..., 0] + cos * b[..., 1]
    return ops.stack((x, y, wrap_angle(a[..., 2] + b[..., 2])), -1)


def inverse(pose: Array) -> Array:
    """The pose q with q∘pose = pose∘q = 0, (..., 3)."""
    ops = _ops(pose)
    cos, sin = ops.cos(pose[..., 2]), ops.sin(pose[..., 2])
    x, y = pose[..., 0], pose[..., 1]
    return ops.stack((-(cos * x + sin * y), sin * x - cos * y, -pose[..., 2]), -1)


def relative_to(origin: Array, pose: Array) -> Array:
    """Pose(s) of one frame in the frame of ``origin``: inverse(origin)∘pose. Subtracts first, so that UTM-sized
    coordinates lose no precision. Shapes broadcast over (..., 3)."""
    ops = _ops(pose)
    dx, dy = pose[..., 0] - origin[..., 0], pose[..., 1] - origin[..., 1]
    cos, sin = ops.cos(origin[..., 2]), ops.sin(origin[..., 2])
    heading = wrap_angle(pose[..., 2] - origin[..., 2])
    return ops.stack((cos * dx + sin * dy, -sin * dx + cos * dy, heading), -1)
