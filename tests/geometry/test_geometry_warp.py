"""The warp, one fact at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from chained_poses import step_poses
from static_world import drives, error_limit, render, to_global

from wotempo.geometry import BACKBONE_BEV, LIDAR_HISTOGRAM, BevGrid, compose, inverse, relative_to
from wotempo.geometry.warp import affine_theta, warp_bev, warp_with_mask

MAP_64 = BACKBONE_BEV.with_shape(64, 64)
OBLONG = BevGrid(-16.0, 48.0, -20.0, 28.0, 32, 12)  # 2 m × 4 m cells, off centre


def random_map(grid: BevGrid, channels: int = 3, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(1, channels, *grid.shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def at(*pose: float) -> torch.Tensor:
    return torch.tensor([pose], dtype=torch.float64)


@pytest.mark.parametrize("grid", [BACKBONE_BEV, MAP_64, LIDAR_HISTOGRAM, OBLONG])
def test_identity(grid: BevGrid) -> None:
    feature = random_map(grid, dtype=torch.float32)
    warped, mask = warp_with_mask(feature, torch.zeros(1, 3), grid)
    assert bool(mask.all())
    assert (warped - feature).abs().max() < 1e-4  # the float32 grid is off by up to 2e-5 cell
    assert torch.equal(warp_bev(feature, torch.zeros(1, 3), grid), warped)


@pytest.mark.parametrize("grid", [BACKBONE_BEV, OBLONG])
@pytest.mark.parametrize("k", [1, 3, -2])
def test_forward_shift_is_row_indexing(grid: BevGrid, k: int) -> None:
    """After k cells forward, current[r] = history[r + k]: the front k rows are new."""
    feature, n = random_map(grid), grid.rows
    warped, mask = warp_with_mask(feature, at(-k * grid.cell_x, 0, 0), grid)
    seen = [r for r in range(n) if 0 <= r + k < n]
    assert mask[0, 0].all(1).tolist() == [r in seen for r in range(n)]
    assert torch.allclose(warped[:, :, seen], feature[:, :, [r + k for r in seen]])
    assert bool((warped * ~mask == 0).all())


@pytest.mark.parametrize("grid", [BACKBONE_BEV, OBLONG])
@pytest.mark.parametrize("k", [1, 3, -2])
def test_left_shift_is_column_indexing(grid: BevGrid, k: int) -> None:
    """After k cells to the left, current[:, c] = history[:, c + k]: the left k columns are new."""
    feature, n = random_map(grid), grid.cols
    warped, mask = warp_with_mask(feature, at(0, -k * grid.cell_y, 0), grid)
    seen = [c for c in range(n) if 0 <= c + k < n]
    assert mask[0, 0].all(0).tolist() == [c in seen for c in range(n)]
    assert torch.allclose(warped[..., seen], feature[..., [c + k for c in seen]])


@pytest.mark.parametrize("n", [8, 64])
def test_quarter_turns_are_permutations(n: int) -> None:
    grid = BACKBONE_BEV.with_shape(n, n)
    feature = random_map(grid)
    r, c = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    # History turned left by 90°: its x axis is the current y axis, so (x, y) lies at (y, -x) in history.
    for angle, permuted in ((math.pi / 2, feature[..., c, n - 1 - r]), (-math.pi / 2, feature[..., n - 1 - c, r])):
        warped, mask = warp_with_mask(feature, at(0, 0, angle), grid)
        assert bool(mask.all())
        assert torch.allclose(warped, permuted, atol=1e-9)


@pytest.mark.parametrize("grid", [MAP_64, BevGrid(-16.0, 48.0, -20.0, 28.0, 96, 60)])
def test_warp_there_and_back(grid: BevGrid) -> None:
    for drive in drives(4, seed=2):
        pose = torch.from_numpy(relative_to(drive[-1], drive[0]))[None]
        history = render(grid, drive[0])[None].double()
        there, there_mask = warp_with_mask(history, pose, grid)
        back, back_mask = warp_with_mask(there, inverse(pose), grid)
        doubly_valid = back_mask & (warp_bev(there_mask.double(), inverse(pose), grid) > 1 - 1e-4)
        assert doubly_valid.float().mean() > 0.1
        error = ((back - history).abs() * doubly_valid).sum() / doubly_valid.sum() / history.shape[1]
        assert error < 2 * error_limit(grid)  # two samplings


def test_chained_poses_equal_direct_ones() -> None:
    poses = drives(20, frames=6, seed=3)
    direct = relative_to(poses[:, -1:], poses)
    chain = np.zeros_like(direct[:, 0])
    for i, step in reversed(list(enumerate(np.moveaxis(step_poses(poses), 1, 0)))):
        chain = compose(chain, step)
        assert np.abs(chain - direct[:, i]).max() < 1e-6
    assert np.abs(step_poses(direct) - step_poses(poses)).max() < 1e-6  # window poses hold the same steps


def test_worked_example() -> None:
    """geometry.md: q = (-5, 1, 0.1) at 8×8."""
    theta = affine_theta(at(-5, 1, 0.1), BACKBONE_BEV)[0]
    expected = [[0.995004, -0.099833, -0.046693], [0.099833, 0.995004, 0.152350]]
    assert torch.allclose(theta, torch.tensor(expected, dtype=torch.float64), atol=1e-6)
    assert BACKBONE_BEV.to_metres(5, 3) == (12.0, -4.0)
    u, v = (theta @ torch.tensor([-4 / 32, 12 / 32, 1.0], dtype=torch.float64)).tolist()
    assert (v * 32, u * 32) == pytest.approx((16.416, -6.672), abs=5e-4)
    assert BACKBONE_BEV.to_index(v * 32, u * 32) == pytest.approx((5.552, 2.666), abs=5e-4)
    # The same numbers through the warp: maps that hold their own row or column index show where a cell samples.
    rows, cols = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    warped, mask = warp_with_mask(torch.stack((rows, cols))[None], at(-5, 1, 0.1).float(), BACKBONE_BEV)
    assert bool(mask[0, 0, 5, 3])
    assert warped[0, :, 5, 3].tolist() == pytest.approx((5.552, 2.666), abs=5e-4)


def test_lidar_point_moves_as_its_histogram() -> None:
    """Transform then histogram = histogram then warp, within a cell."""
    grid, rng = LIDAR_HISTOGRAM, np.random.default_rng(4)
    for _ in range(8):
        pose = np.append(rng.uniform(-8, 8, 2), rng.uniform(-1, 1))
        point = rng.uniform(-14, 14, 2)
        histogram, _, _ = np.histogram2d(*point[:, None], bins=grid.edges())
        moved, _, _ = np.histogram2d(*to_global(point, pose)[:, None], bins=grid.edges())
        warped = warp_bev(torch.from_numpy(histogram)[None, None], torch.from_numpy(pose)[None], grid)[0, 0]
        found = np.array(np.unravel_index(warped.argmax().item(), grid.shape))
        assert np.abs(found - np.argwhere(moved)[0]).max() <= 1


def test_moving_box_stays_moved() -> None:
    """The warp takes out the motion of the ego, not that of others: the box trails by v·dt."""
    rows, cols = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")

    def blob(centre: np.ndarray) -> torch.Tensor:
        row, col = MAP_64.to_index(*centre)
        return torch.from_numpy(np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / 8))[None, None]

    pose = np.array([-6.0, 0.8, -0.2])
    now, velocity, dt = np.array([10.0, 3.0]), np.array([4.0, -6.0]), 0.5
    then = now - velocity * dt  # in the current frame
    seen_then = relative_to(pose, np.append(then, 0.0))[:2]  # in the history frame
    warped = warp_bev(blob(seen_then), torch.from_numpy(pose)[None], MAP_64)[0, 0].numpy()
    centroid = np.array(MAP_64.to_metres((warped * rows).sum() / warped.sum(), (warped * cols).sum() / warped.sum()))
    assert np.abs((now - centroid) - velocity * dt).max() < 0.02


def test_gradient_enters_history_only_inside_the_mask() -> None:
    feature = random_map(MAP_64).requires_grad_()
    warped, mask = warp_with_mask(feature, at(-9.3, 2.1, 0.3), MAP_64)
    (outside,) = torch.autograd.grad((warped * ~mask).sum(), feature, retain_graph=True)
    assert bool((outside == 0).all())
    (inside,) = torch.autograd.grad(warped.sum(), feature)
    # The visible part, carried back into the history frame: its cells all feed the output, and beyond it (one cell of
    # bilinear reach) none does.
    fed = inside[0, 0] != 0
    carried = warp_bev(mask.double(), inverse(at(-9.3, 2.1, 0.3)), MAP_64)
    reach = torch.nn.functional.max_pool2d(carried, 3, 1, 1)[0, 0] > 0
    assert 0 < fed.sum() < fed.numel()
    assert bool(fed[carried[0, 0] > 1 - 1e-4].all())
    assert not bool(fed[~reach].any())


def test_gradient_with_respect_to_the_pose() -> None:
    """Against finite differences: a sign or an axis swapped in θ alone would show."""
    feature, pose = random_map(OBLONG, channels=1), at(-4.3, 1.7, 0.2).requires_grad_()
    assert torch.autograd.gradcheck(lambda q: warp_bev(feature, q, OBLONG), pose, eps=1e-7, atol=1e-5)


def test_autocast_changes_nothing() -> None:
    """Under autocast affine_grid would multiply in bf16; the map would move by up to 0.16 cell."""
    feature, pose = random_map(MAP_64, dtype=torch.float32), at(-7.3, 1.1, 0.4).float()
    plain, plain_mask = warp_with_mask(feature, pose, MAP_64)
    with torch.autocast("cpu", torch.bfloat16):
        cast, cast_mask = warp_with_mask(feature, pose, MAP_64)
        narrow, narrow_mask = warp_with_mask(feature.bfloat16(), pose, MAP_64)
    assert torch.equal(plain, cast)
    assert torch.equal(plain_mask, cast_mask)
    assert torch.equal(plain_mask, narrow_mask)
    assert narrow.dtype is torch.bfloat16
    # bf16 features are rounded before and after, the positions are not.
    wide, _ = warp_with_mask(feature.bfloat16().float(), pose, MAP_64)
    assert torch.equal(narrow, wide.bfloat16())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounded_poses_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match="float32"):
        warp_bev(torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, dtype=dtype), BACKBONE_BEV)


@pytest.mark.parametrize("warp", [warp_bev, warp_with_mask])
def test_map_of_another_grid_is_refused(warp) -> None:
    with pytest.raises(ValueError, match="8, 8"):
        warp(torch.zeros(1, 1, 64, 64), torch.zeros(1, 3), BACKBONE_BEV)


def test_samples_do_not_mix_and_inputs_are_left_alone() -> None:
    generator = torch.Generator().manual_seed(5)
    feature = torch.randn(5, 2, *OBLONG.shape, generator=generator)
    pose = torch.randn(5, 3, generator=generator) * torch.tensor([5.0, 2.0, 0.3])
    kept = feature.clone(), pose.clone()
    warped, mask = warp_with_mask(feature, pose, OBLONG)
    assert torch.equal(feature, kept[0])
    assert torch.equal(pose, kept[1])
    order = torch.tensor([3, 0, 4, 1, 2])
    again, again_mask = warp_with_mask(feature[order], pose[order], OBLONG)
    assert torch.equal(again, warped[order])
    assert torch.equal(again_mask, mask[order])
