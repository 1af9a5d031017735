"""Ego-motion warp of a history BEV map onto the current frame.

``affine_grid`` maps *output* to *input* positions, is normalised by half extents, and takes (column, row) = (u ↔ y,
v ↔ x). With x = c_x + h_x·v, y = c_y + h_y·u the output cell p of the current frame samples history at R(-ψ)(p - t).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from wotempo.geometry.grid import BevGrid

# A cell is valid only where a warped plane of ones stays one: |grid| ≤ 1 would accept border cells that mix in zeros.
STRICT = 1.0 - 1e-4


def affine_theta(pose: Tensor, grid: BevGrid) -> Tensor:
    """θ for ``affine_grid`` from the pose of a history frame in the current frame.

    pose (..., 3) metres and radians -> (..., 2, 3), in the dtype of ``pose``.
    """
    (c_x, c_y), (h_x, h_y) = grid.centre, grid.half
    cos, sin = torch.cos(pose[..., 2]), torch.sin(pose[..., 2])
    dx, dy = c_x - pose[..., 0], c_y - pose[..., 1]
    row_u = torch.stack((cos, -sin * (h_x / h_y), (-sin * dx + cos * dy - c_y) / h_y), -1)
    row_v = torch.stack((sin * (h_y / h_x), cos, (cos * dx + sin * dy - c_x) / h_x), -1)
    return torch.stack((row_u, row_v), -2)


def affine_positions(theta: Tensor, shape: tuple[int, int]) -> Tensor:
    """What ``affine_grid(theta, ..., align_corners=False)`` gives, (N, 2, 3) -> (N, H, W, 2), for a third of the time
    at 256×256: the sum of what belongs to a row and what belongs to a column, instead of a product of matrices."""
    y, x = ((2 * torch.arange(n, device=theta.device, dtype=theta.dtype) + 1) / n - 1 for n in shape)
    of_column = theta[:, None, :, 0] * x[None, :, None] + theta[:, None, :, 2]
    of_row = theta[:, None, :, 1] * y[None, :, None]
    return of_row[:, :, None] + of_column[:, None]


def _sampling_grid(feature: Tensor, pose: Tensor, grid: BevGrid) -> Tensor:
    if tuple(feature.shape[-2:]) != grid.shape:
        raise ValueError(f"the feature map is {tuple(feature.shape[-2:])} but the grid has {grid.shape} cells")
    if torch.promote_types(pose.dtype, torch.float32) != pose.dtype:
        raise ValueError(f"poses must be float32 or float64, not {pose.dtype}: rounding them moves the map")
    # At least float32, whatever the map has: bf16 would be 0.16 cell off at 64×64. Autocast changes no sums.
    return affine_positions(affine_theta(pose.to(torch.promote_types(feature.dtype, torch.float32)), grid), grid.shape)


def _sample(feature: Tensor, sampling: Tensor) -> Tensor:
    with torch.autocast(feature.device.type, enabled=False):
        wide = feature.to(sampling.dtype)
        return F.grid_sample(wide, sampling, mode="bilinear", padding_mode="zeros", align_corners=False)


def warp_bev(feature: Tensor, pose: Tensor, grid: BevGrid) -> Tensor:
    """Bilinear warp, zeros outside. feature (N, C, H, W) of the history frame, pose (N, 3) of it in the current frame
    -> (N, C, H, W) in the current frame, same dtype."""
    return _sample(feature, _sampling_grid(feature, pose, grid)).to(feature.dtype)


def warp_with_mask(feature: Tensor, pose: Tensor, grid: BevGrid, renormalise: bool = False) -> tuple[Tensor, Tensor]:
    """Warp and say which cells are really seen.

    Returns (warped (N, C, H, W), mask (N, 1, H, W) bool). Strict: a cell counts only if all its taps lie inside the
    history map. ``renormalise`` divides by the covered share where it exceeds ½ and accepts those cells: it keeps the
    quarter of the cells that a gentle turn costs at 8×8, at the price of extrapolating by up to half a cell.
    Cells outside the mask are zero.
    """
    sampling = _sampling_grid(feature, pose, grid)
    cover = _sample(torch.ones_like(sampling[..., :1]).permute(0, 3, 1, 2), sampling)
    warped = _sample(feature, sampling)
    if renormalise:
        mask = cover > 0.5
        warped = warped / cover.clamp(min=0.5)
    else:
        mask = cover > STRICT
    return (warped * mask).to(feature.dtype), mask
