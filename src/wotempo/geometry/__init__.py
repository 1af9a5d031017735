"""Poses, BEV grids and the ego-motion warp. Knows no other room.

The warp is imported from its file: rooms that work on arrays must not pay for importing torch.
"""

from __future__ import annotations

from wotempo.geometry.grid import BACKBONE_BEV, LIDAR_HISTOGRAM, SEMANTIC_FRONT, BevGrid
from wotempo.geometry.pose import compose, inverse, relative_to

__all__ = [
    "BACKBONE_BEV",
    "LIDAR_HISTOGRAM",
    "SEMANTIC_FRONT",
    "BevGrid",
    "compose",
    "inverse",
    "relative_to",
]
