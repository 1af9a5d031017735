"""A static world of smooth waves, seen from the car: what a right warp must make stand still."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from wotempo.geometry import BevGrid, relative_to

Warp = Callable[[Tensor, np.ndarray, BevGrid], Tensor]
STEP_SECONDS = 0.5
# Mean error that bilinear sampling of this world may leave, per (metre of cell)²; measured 0.0022. The mildest mistake
# (a half-cell offset) leaves 0.021 at 1 m cells.
ERROR_PER_CELL_AREA = 0.003


def drives(count: int, frames: int = 4, seed: int = 0) -> np.ndarray:
    """Global poses (count, frames, 3) float64 at UTM-sized places: 0-20 m/s and up to ±0.5 rad/s, new every step (two
    equal steps commute, which would hide a wrong order of composition)."""
    rng = np.random.default_rng(seed)
    poses = np.empty((count, frames, 3))
    poses[:, 0] = rng.uniform((3e5, 4e6, -np.pi), (7e5, 5e6, np.pi), (count, 3))
    for i in range(1, frames):
        speed, rate = rng.uniform(0, 20, count), rng.uniform(-0.5, 0.5, count)
        middle = poses[:, i - 1, 2] + rate * STEP_SECONDS / 2
        poses[:, i, 0] = poses[:, i - 1, 0] + speed * STEP_SECONDS * np.cos(middle)
        poses[:, i, 1] = poses[:, i - 1, 1] + speed * STEP_SECONDS * np.sin(middle)
        poses[:, i, 2] = poses[:, i - 1, 2] + rate * STEP_SECONDS
    return poses


def cell_centres(grid: BevGrid) -> np.ndarray:
    """(rows, cols, 2) x, y of the cell centres in the ego frame, written out independently of ``BevGrid``'s methods."""
    x = grid.x_min + (np.arange(grid.rows) + 0.5) * (grid.x_max - grid.x_min) / grid.rows
    y = grid.y_min + (np.arange(grid.cols) + 0.5) * (grid.y_max - grid.y_min) / grid.cols
    return np.stack(np.meshgrid(x, y, indexing="ij"), -1)


def to_global(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """(..., 2) in the ego frame -> global, by the rotation matrix of ``pose`` (3,)."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    return points @ np.array([[c, -s], [s, c]]).T + pose[:2]


def world(points: np.ndarray, channels: int = 4, waves: int = 4, seed: int = 7) -> np.ndarray:
    """Height of the world at global points (..., 2) -> (channels, ...): waves of 25-50 m, unit variance."""
    rng = np.random.default_rng(seed)
    k = 2 * np.pi / rng.uniform(25, 50, (channels, waves))
    angle, phase = rng.uniform(0, 2 * np.pi, (2, channels, waves))
    direction = k[..., None] * np.stack((np.cos(angle), np.sin(angle)), -1)
    argument = np.einsum("...k,cwk->...cw", points, direction) + phase
    return np.moveaxis(np.sin(argument).sum(-1) * np.sqrt(2 / waves), -1, 0)


def render(grid: BevGrid, pose: np.ndarray) -> Tensor:
    """What the car at global ``pose`` sees: (channels, rows, cols) float32."""
    return torch.from_numpy(world(to_global(cell_centres(grid), pose))).float()


def visible(grid: BevGrid, pose: np.ndarray) -> np.ndarray:
    """(rows, cols) bool: cells of the current frame whose four taps lie inside the history map, from ``pose`` (3,) of
    the history frame in the current one."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    x, y = np.moveaxis((cell_centres(grid) - pose[:2]) @ np.array([[c, -s], [s, c]]), -1, 0)
    row = (x - grid.x_min) / (grid.x_max - grid.x_min) * grid.rows - 0.5
    col = (y - grid.y_min) / (grid.y_max - grid.y_min) * grid.cols - 0.5
    return (row >= 0) & (row <= grid.rows - 1) & (col >= 0) & (col <= grid.cols - 1)


def error_limit(grid: BevGrid) -> float:
    """What ``static_world_error`` of a right warp stays below."""
    return ERROR_PER_CELL_AREA * max(grid.cell_x, grid.cell_y) ** 2


def static_world_error(warp: Warp, grid: BevGrid, poses: np.ndarray) -> np.ndarray:
    """Mean absolute error per history frame (T-1,), over drives and over the cells that history really shows.

    ``warp`` takes (maps (T-1, C, H, W), global poses (T, 3), grid) and aligns the maps with the last pose.
    """
    total, count = np.zeros(poses.shape[1] - 1), np.zeros(poses.shape[1] - 1)
    for drive in poses:
        current = render(grid, drive[-1])
        aligned = warp(torch.stack([render(grid, pose) for pose in drive[:-1]]), drive, grid)
        for i, relative in enumerate(relative_to(drive[-1], drive[:-1])):
            seen = visible(grid, relative)
            total[i] += (aligned[i] - current).abs().mean(0).numpy()[seen].sum()
            count[i] += seen.sum()
    return total / count
