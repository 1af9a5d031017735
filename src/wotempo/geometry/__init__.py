"""Poses, BEV grids and the ego-motion warp. Knows no other room."""

from wotempo.geometry.grid import BACKBONE_BEV, LIDAR_HISTOGRAM, SEMANTIC_FRONT, BevGrid
from wotempo.geometry.pose import compose, inverse, relative_to, step_poses, wrap_angle
from wotempo.geometry.warp import affine_theta, warp_bev, warp_with_mask

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
