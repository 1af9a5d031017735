"""What stages promise about their own alignment: columns of docs/fusion_properties.md (see properties.py).

All of them look at ``warp_history``, which ``own warp`` ties to the output.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from fusion_windows import GRID, window
from static_world import drives, error_limit, render, static_world_error, to_global
from torch import Tensor

from wotempo.fusion import TemporalFusion
from wotempo.geometry import BACKBONE_BEV, LIDAR_HISTOGRAM, BevGrid, inverse, relative_to


def _align(stage: TemporalFusion, maps: Tensor, pose: Tensor, grid: BevGrid) -> tuple[Tensor, Tensor]:
    """maps (T-1, C, H, W), pose (T-1, 3) -> the aligned maps of the same shape and mask (T-1, 1, H, W)."""
    bev = torch.cat((maps, torch.zeros_like(maps[:1])))[None]
    pose = torch.cat((pose, torch.zeros_like(pose[:1])))[None]
    valid = torch.ones(1, len(maps) + 1, dtype=torch.bool)
    aligned, mask = stage.warp_history(bev, pose, valid, grid=grid)
    return aligned[0, :-1], mask[0, :-1]


def _noise(grid: BevGrid, frames: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(frames, 2, *grid.shape, generator=generator, dtype=torch.float64)


def whole_cells(fresh: TemporalFusion) -> None:
    """No motion, k cells forward, k cells to the left: indexing. Quarter turns: permutations."""
    for grid in (GRID, BACKBONE_BEV):
        for forward, left in ((0, 0), (2, 0), (-3, 0), (0, 2), (0, -1), (1, 3)):
            pose = torch.tensor([-forward * grid.cell_x, -left * grid.cell_y, 0.0], dtype=torch.float64).expand(3, 3)
            maps = _noise(grid)
            aligned, mask = _align(fresh, maps, pose, grid)
            rows = [r for r in range(grid.rows) if 0 <= r + forward < grid.rows]
            cols = [c for c in range(grid.cols) if 0 <= c + left < grid.cols]
            expected = torch.zeros(grid.shape, dtype=torch.bool)
            expected[np.ix_(rows, cols)] = True
            assert torch.equal(mask, expected.expand_as(mask))
            shifted = maps[:, :, [r + forward for r in rows]][..., [c + left for c in cols]]
            assert (aligned[:, :, rows][..., cols] - shifted).abs().max() < 1e-4
            assert bool((aligned * ~mask == 0).all())
    n, maps = BACKBONE_BEV.rows, _noise(BACKBONE_BEV)
    r, c = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    # History turned left by 90°: its x axis is the current y axis, so (x, y) lies at (y, -x) in history.
    for angle, permuted in ((math.pi / 2, maps[..., c, n - 1 - r]), (-math.pi / 2, maps[..., n - 1 - c, r])):
        turn = torch.tensor([0.0, 0.0, angle], dtype=torch.float64).expand(3, 3)
        aligned, mask = _align(fresh, maps, turn, BACKBONE_BEV)
        assert bool(mask.all())
        assert (aligned - permuted).abs().max() < 1e-4


def _world_warp(stage: TemporalFusion):
    def warp(maps: Tensor, poses: np.ndarray, grid: BevGrid) -> Tensor:
        return _align(stage, maps, torch.from_numpy(relative_to(poses[-1], poses[:-1])).float(), grid)[0]

    return warp


def one_step(fresh: TemporalFusion) -> None:
    """Waves of 25-50 m stand still from the previous frame to this one, at the stage's own raster and a finer one."""
    for factor in (1, 4):
        grid = GRID.with_shape(GRID.rows * factor, GRID.cols * factor)
        assert static_world_error(_world_warp(fresh), grid, drives(4)[:, -2:]).max() < error_limit(grid)


def static_world(fresh: TemporalFusion) -> None:
    """The same for every frame of the window."""
    for factor in (1, 4):
        grid = GRID.with_shape(GRID.rows * factor, GRID.cols * factor)
        assert static_world_error(_world_warp(fresh), grid, drives(4)).max() < error_limit(grid)


def there_and_back(fresh: TemporalFusion) -> None:
    """A warp and its inverse meet on the cells that both have seen."""
    grid = GRID.with_shape(GRID.rows * 4, GRID.cols * 4)
    for drive in drives(3, seed=2):
        pose = torch.from_numpy(relative_to(drive[-1], drive[-2]))[None]
        history = render(grid, drive[-2])[None].double()
        there, mask = _align(fresh, history, pose, grid)
        back, back_mask = _align(fresh, there, inverse(pose), grid)
        seen = back_mask & (_align(fresh, mask.double(), inverse(pose), grid)[0] > 1 - 1e-4)
        assert seen.double().mean() > 0.1
        error = ((back - history).abs() * seen).sum() / seen.sum() / history.shape[1]
        assert error < 2 * error_limit(grid)


def points_and_boxes(fresh: TemporalFusion) -> None:
    """A LiDAR point lands in the cell that it was moved to, within one; a car that moved by v·dt stays moved by it."""
    grid, rng = LIDAR_HISTOGRAM, np.random.default_rng(4)
    for drive in drives(3, seed=4):
        pose = relative_to(drive[-1], drive[:-1])
        point = rng.uniform(-12, 12, 2)  # in the current frame
        went = np.array([3.0, -1.5])  # what a car drove since history, in the current axes
        for place, target in ((point, point), (point + went, point + went)):
            maps = torch.zeros(3, 1, *grid.shape)
            for i, q in enumerate(pose):
                c, s = np.cos(q[2]), np.sin(q[2])
                old = (place - q[:2]) @ np.array([[c, -s], [s, c]])  # the same place seen from history
                assert np.allclose(to_global(old, q), place)
                row, col = (round(float(k)) for k in grid.to_index(*old))
                if 0 <= row < grid.rows and 0 <= col < grid.cols:
                    maps[i, 0, row, col] = 1.0
            aligned, _ = _align(fresh, maps, torch.from_numpy(pose).float(), grid)
            for i in range(3):
                if maps[i].any():
                    row, col = np.unravel_index(int(aligned[i, 0].argmax()), grid.shape)
                    r, c = grid.to_index(*target)
                    assert max(abs(row - r), abs(col - c)) <= 1.0


def each_frame_alone(fresh: TemporalFusion) -> None:
    """A frame is aligned alike whatever stands beside it; the current one passes untouched, missing ones are masked."""
    w = window()
    w.valid[0, 1] = False
    aligned, mask = fresh.warp_history(w.bev, w.pose, w.valid)
    assert aligned.shape == w.bev.shape
    assert mask.shape == (*w.valid.shape, 1, *GRID.shape)
    assert bool((aligned.masked_fill(mask, 0.0)[:, :-1] == 0).all())
    assert not bool(mask[0, 1].any())
    assert bool(mask[:, -1].all())
    assert torch.equal(aligned[:, -1], w.bev[:, -1])  # bit for bit: no identity warp
    for b, t in ((1, 0), (2, 2)):
        alone, alone_mask = _align(fresh, w.bev[b, t, None], w.pose[b, t, None], GRID)
        assert torch.equal(mask[b, t], alone_mask[0])
        assert torch.allclose(aligned[b, t], alone[0], atol=1e-12)
