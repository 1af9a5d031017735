"""Where a point of the ego frame stands in the stitched picture."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from wotempo.features import FeatureSpec
from wotempo.features.camera import stitched_pixels
from wotempo.geometry import LIDAR_HISTOGRAM
from wotempo.navsim.schema import Camera

SPEC = FeatureSpec(image_height=256, image_width=1024, lidar_grid=LIDAR_HISTOGRAM)


def camera(yaw: float) -> Camera:
    cos, sin = np.cos(yaw), np.sin(yaw)
    turned = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    ahead = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # camera axes -> ego axes
    intrinsics = np.array([[1000.0, 0, 960], [0, 1000.0, 540], [0, 0, 1]])
    return Camera("", turned @ ahead, np.array([1.0, 0.0, 1.5]), intrinsics, np.zeros(5))


FRAME = SimpleNamespace(cameras={"CAM_F0": camera(0.0), "CAM_L0": camera(np.pi / 3), "CAM_R0": camera(-np.pi / 3)})


def test_points_land_where_the_crops_put_them():
    middle, left, behind = stitched_pixels(np.array([[11.0, 0, 1.5], [6.0, 8.66, 1.5], [-9.0, 0, 1.5]]), FRAME, SPEC)
    np.testing.assert_allclose(middle, [512, 128], atol=1e-6)  # the middle of 4096 x 1024, a quarter of the size
    np.testing.assert_allclose(left, [(960 - 416) / 4, 128], atol=0.05)
    assert np.isnan(behind).all()


def test_down_is_down_and_left_is_left():
    low, beside = stitched_pixels(np.array([[11.0, 0, 0.5], [11.0, 1.0, 1.5]]), FRAME, SPEC)
    np.testing.assert_allclose(low, [512, 128 + 25], atol=1e-6)
    np.testing.assert_allclose(beside, [512 - 25, 128], atol=1e-6)


def test_points_beside_a_distorted_picture_do_not_fold_into_it():
    """With the distortion of a wide lens, as real rigs have it: the more a point is to the left, the further left it is
    seen, until it is not seen."""
    distorted = {name: replace(each, distortion=np.array([-0.36, 0.17, 0.0, 0.0, -0.05]))
                 for name, each in FRAME.cameras.items()}  # fmt: skip
    only_front = {**distorted, "CAM_L0": camera(np.pi), "CAM_R0": camera(np.pi)}
    angles = np.radians(np.linspace(0, 85, 86))
    points = np.stack((1 + 10 * np.cos(angles), 10 * np.sin(angles), np.full(86, 1.5)), 1)
    columns = stitched_pixels(points, SimpleNamespace(cameras=only_front), SPEC)[:, 0]
    seen = np.isfinite(columns)
    assert 30 < seen.sum() < 60
    assert seen[: seen.sum()].all()
    assert (np.diff(columns[seen]) < 0).all()
