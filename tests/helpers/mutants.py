"""Every wrong warp of the bug zoo (design: geometry, "mutations"), each of which some published code contains.

A warp takes (maps (N, C, H, W) of the history, global poses (N+1, 3) float64 with the current one last, grid).
"""

from __future__ import annotations

import numpy as np
import torch
from chained_poses import step_poses
from torch import Tensor
from torch.nn import functional as F

from wotempo.geometry import BevGrid, compose, inverse, relative_to
from wotempo.geometry.warp import affine_theta, warp_with_mask


def _relative(poses: np.ndarray) -> Tensor:
    return torch.from_numpy(relative_to(poses[-1], poses[:-1])).float()


def correct(maps: Tensor, poses: np.ndarray, grid: BevGrid) -> Tensor:
    return warp_with_mask(maps, _relative(poses), grid)[0]


def no_warp(maps: Tensor, poses: np.ndarray, grid: BevGrid) -> Tensor:
    return maps


def _sample(maps: Tensor, theta: Tensor, align_grid: bool = False, align_sample: bool = False) -> Tensor:
    sampling = F.affine_grid(theta, list(maps.shape), align_corners=align_grid)
    return F.grid_sample(maps, sampling, align_corners=align_sample)


def _theta(cos: Tensor, sin: Tensor, shift_u: Tensor, shift_v: Tensor, grid: BevGrid) -> Tensor:
    ratio = grid.half[0] / grid.half[1]
    rows = (torch.stack((cos, -sin * ratio, shift_u), -1), torch.stack((sin / ratio, cos, shift_v), -1))
    return torch.stack(rows, -2)


def student_project(maps, poses, grid):
    """x into the column shift, y into the row shift, both in cells, rotation not applied to them, wrong sign."""
    x, y, psi = _relative(poses).unbind(-1)
    return _sample(maps, _theta(psi.cos(), psi.sin(), x / grid.cell_x, y / grid.cell_y, grid))


def axes_swapped(maps, poses, grid):
    """x taken for the columns and y for the rows."""
    x, y, psi = _relative(poses).unbind(-1)
    (h_x, h_y), c, s = grid.half, psi.cos(), psi.sin()
    return _sample(maps, _theta(c, -s, (-c * x - s * y) / h_y, (s * x - c * y) / h_x, grid))


def inverse_direction(maps, poses, grid):
    return warp_with_mask(maps, inverse(_relative(poses)), grid)[0]


def yaw_sign(maps, poses, grid):
    return warp_with_mask(maps, _relative(poses) * torch.tensor([1.0, 1.0, -1.0]), grid)[0]


def y_flip(maps, poses, grid):
    return warp_with_mask(maps, _relative(poses) * torch.tensor([1.0, -1.0, 1.0]), grid)[0]


def translation_not_rotated(maps, poses, grid):
    """p_history = Rᵀp - t instead of Rᵀ(p - t)."""
    pose = _relative(poses)
    turned = affine_theta(pose * torch.tensor([0.0, 0.0, 1.0]), grid)
    (h_x, h_y), shift = grid.half, torch.stack((pose[:, 1], pose[:, 0]), -1)
    turned[..., 2] -= shift / torch.tensor([h_y, h_x])
    return _sample(maps, turned)


def full_extent(maps, poses, grid):
    """The translation divided by the extent instead of its half."""
    return warp_with_mask(maps, _relative(poses) * torch.tensor([0.5, 0.5, 1.0]), grid)[0]


def degrees_as_radians(maps, poses, grid):
    return warp_with_mask(maps, _relative(poses) * torch.tensor([1.0, 1.0, 180 / np.pi]), grid)[0]


def global_delta(maps, poses, grid):
    """The difference of global poses taken for the relative pose: right only for a car that heads east."""
    return warp_with_mask(maps, torch.from_numpy(poses[:-1] - poses[-1]).float(), grid)[0]


def align_corners(maps, poses, grid):
    """align_corners=True in both calls, normalised by edge extents as if False."""
    return _sample(maps, affine_theta(_relative(poses), grid), True, True)


def mixed_align_corners(maps, poses, grid):
    return _sample(maps, affine_theta(_relative(poses), grid), False, True)


def mixed_align_corners_reversed(maps, poses, grid):
    return _sample(maps, affine_theta(_relative(poses), grid), True, False)


def half_cell_origin(maps, poses, grid):
    """An index taken for the lower *edge* of its cell: turns about a point half a cell off."""
    off = BevGrid(
        grid.x_min - grid.cell_x / 2,
        grid.x_max - grid.cell_x / 2,
        grid.y_min - grid.cell_y / 2,
        grid.y_max - grid.cell_y / 2,
        *grid.shape,
    )
    return warp_with_mask(maps, _relative(poses), off)[0]


def composition_order(maps, poses, grid):
    """Steps chained as step∘chain instead of chain∘step."""
    steps = step_poses(poses)
    chain = [steps[-1]]
    for step in steps[-2::-1]:
        chain.insert(0, compose(step, chain[0]))
    return warp_with_mask(maps, torch.from_numpy(np.stack(chain)).float(), grid)[0]


def history_reversed(maps, poses, grid):
    """Poses oldest first, maps newest first."""
    return correct(maps.flip(0), poses, grid)


MUTANTS = {
    warp.__name__: warp
    for warp in (
        no_warp,
        student_project,
        axes_swapped,
        inverse_direction,
        yaw_sign,
        y_flip,
        translation_not_rotated,
        full_extent,
        degrees_as_radians,
        global_delta,
        align_corners,
        mixed_align_corners,
        mixed_align_corners_reversed,
        half_cell_origin,
        composition_order,
        history_reversed,
    )
}
