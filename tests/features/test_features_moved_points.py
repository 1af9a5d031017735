"""LiDAR points in another frame's axes, counted there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wotempo.features import FeatureSpec, lidar_feature, moved_points
from wotempo.geometry.warp import warp_bev

SPEC = FeatureSpec()
GRID = SPEC.lidar_grid


def cloud(x: float, y: float, z: float = 1.0) -> np.ndarray:
    """One point, as ``read_pcd`` gives it."""
    return np.array([[x], [y], [z], [7.0], [3.0], [1.0]], np.float32)


def cell(histogram: np.ndarray) -> tuple[int, int]:
    row, col = np.unravel_index(int(histogram.argmax()), histogram.shape)
    return int(row), int(col)


@pytest.mark.parametrize("seed", range(20))
def test_moved_then_counted_is_counted_then_warped_within_a_cell(seed):
    rng = np.random.default_rng(seed)
    pose = np.array([*rng.uniform(-12, 6, 2), rng.uniform(-0.6, 0.6)])
    x, y = rng.uniform(-9, 9, 2)
    first = cell(lidar_feature(moved_points(cloud(x, y), pose), SPEC))
    history = torch.from_numpy(lidar_feature(cloud(x, y), SPEC))[None, None].float()
    warped = warp_bev(history, torch.from_numpy(pose)[None].float(), GRID)[0, 0].numpy()
    assert max(abs(a - b) for a, b in zip(first, cell(warped), strict=True)) <= 1
    # And by hand: turned by the heading, then put where the frame stands.
    c, s = np.cos(pose[2]), np.sin(pose[2])
    there = GRID.to_index(pose[0] + c * x - s * y, pose[1] + s * x + c * y)
    assert first == tuple(round(float(k)) for k in there)


def test_what_lay_beyond_the_edge_comes_in_and_heights_stay():
    ahead = cloud(36.0, 2.0, z=1.5)  # 4 m beyond the history's own histogram
    pose = np.array([-10.0, 0.0, 0.0])  # the ego drove 10 m since
    assert not lidar_feature(ahead, SPEC).any()
    moved = moved_points(ahead, pose)
    assert cell(lidar_feature(moved, SPEC)) == tuple(round(float(k)) for k in GRID.to_index(26.05, 2.05))
    np.testing.assert_array_equal(moved[2:], ahead[2:])
    np.testing.assert_array_equal(ahead, cloud(36.0, 2.0, z=1.5))  # the input is left alone
    assert moved.dtype == np.float32


def test_no_motion_changes_nothing():
    points = np.random.default_rng(0).uniform(-40, 40, (6, 500)).astype(np.float32)
    np.testing.assert_array_equal(moved_points(points, np.zeros(3)), points)
