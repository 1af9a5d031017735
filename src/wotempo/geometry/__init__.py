"""Poses, BEV grids and the ego-motion warp. Knows no other room.

The warp is loaded when it is first asked for: rooms that work on arrays must not pay for importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wotempo.geometry.grid import BACKBONE_BEV, LIDAR_HISTOGRAM, SEMANTIC_FRONT, BevGrid
from wotempo.geometry.pose import compose, inverse, relative_to, step_poses, wrap_angle

if TYPE_CHECKING:
    from wotempo.geometry.warp import affine_theta, warp_bev, warp_with_mask

_NEEDS_TORCH = ("affine_theta", "warp_bev", "warp_with_mask")

__all__ = [
    "BACKBONE_BEV",
    "LIDAR_HISTOGRAM",
    "SEMANTIC_FRONT",
    "BevGrid",
    "affine_theta",
    "compose",
    "inverse",
    "relative_to",
    "step_poses",
    "warp_bev",
    "warp_with_mask",
    "wrap_angle",
]


def __getattr__(name: str) -> Any:
    if name in _NEEDS_TORCH:
        return getattr(import_module("wotempo.geometry.warp"), name)
    raise AttributeError(f"module 'wotempo.geometry' has no attribute '{name}'")
