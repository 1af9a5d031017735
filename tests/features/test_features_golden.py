"""Equality with the features of the public WoTE builder (made with its own code on the generated golden drive)."""

from __future__ import annotations

import numpy as np
import pytest

from wotempo.features import FeatureSpec, camera_feature, lidar_feature, status_feature
from wotempo.navsim.images import read_image
from wotempo.navsim.logs import read_log
from wotempo.navsim.pcd import read_pcd
from wotempo.navsim.schema import STITCHED_CAMERAS

SPEC = FeatureSpec()


@pytest.fixture(scope="module")
def sensors(golden_dir):
    with np.load(golden_dir / "features" / "sensors.npz") as file:
        return dict(file)


def test_camera_patches_at_every_seam_and_border(sensors):
    images = {name: np.zeros((1080, 1920, 3), np.uint8) for name in STITCHED_CAMERAS}
    for (camera, row, col, _, _), patch in zip(sensors["patch_position"], sensors["raw_patches"], strict=True):
        height, width, _ = patch.shape
        images[STITCHED_CAMERAS[camera]][row : row + height, col : col + width] = patch
    stitched = camera_feature(images, SPEC)
    for (_, _, _, row, col), patch in zip(sensors["patch_position"], sensors["camera_patches"], strict=True):
        height, width, _ = patch.shape
        np.testing.assert_array_equal(stitched[row : row + height, col : col + width], patch)


def test_lidar_histogram(sensors):
    np.testing.assert_array_equal(lidar_feature(sensors["points"], SPEC), sensors["lidar"])


@pytest.mark.shared
def test_seven_whole_frames(shared_dir):
    root = shared_dir / "golden" / "navsim"
    with np.load(root / "features_dev.npz") as file:
        expected = dict(file)
    log = read_log(next((root / "navsim_logs/golden").glob("*_00000_00022.pkl")), "golden")
    frames = {frame.token: frame for frame in log.frames}
    blobs = root / "sensor_blobs" / "golden"
    for i, token in enumerate(expected["tokens"]):
        frame = frames[str(token)]
        images = {name: read_image(blobs / frame.cameras[name].path) for name in STITCHED_CAMERAS}
        np.testing.assert_array_equal(camera_feature(images, SPEC).transpose(2, 0, 1), expected["camera"][i])
        np.testing.assert_array_equal(lidar_feature(read_pcd(blobs / frame.lidar_path), SPEC), expected["lidar"][i, 0])
        np.testing.assert_allclose(status_feature(frame), expected["status"][i], rtol=0, atol=1e-6)
