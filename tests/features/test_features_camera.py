from __future__ import annotations

import numpy as np
import pytest

from wotempo.errors import UserError
from wotempo.features import FeatureSpec, camera_feature
from wotempo.navsim.schema import STITCHED_CAMERAS


def flat(**colours: int) -> dict[str, np.ndarray]:
    return {name: np.full((1080, 1920, 3), colours[name], np.uint8) for name in STITCHED_CAMERAS}


def test_left_front_right_take_17_30_17_parts_of_the_width():
    view = camera_feature(flat(CAM_L0=10, CAM_F0=20, CAM_R0=30), FeatureSpec())
    assert view.shape == (256, 1024, 3)
    assert view.dtype == np.uint8
    row = view[128, :, 0]
    np.testing.assert_array_equal(np.flatnonzero(np.diff(row)) + 1, [272, 752])
    assert (row[0], row[500], row[1023]) == (10, 20, 30)


def test_cropped_borders_have_no_influence():
    images = flat(CAM_L0=10, CAM_F0=20, CAM_R0=30)
    before = camera_feature(images, FeatureSpec())
    for image in images.values():
        image[:28] = image[-28:] = 255
    for name in ("CAM_L0", "CAM_R0"):
        images[name][:, :416] = images[name][:, -416:] = 255
    np.testing.assert_array_equal(camera_feature(images, FeatureSpec()), before)


def test_small_size_shows_the_same_view():
    ramp = np.tile(np.linspace(0, 255, 1920).astype(np.uint8)[None, :, None], (1080, 1, 3))
    images = dict.fromkeys(STITCHED_CAMERAS, ramp)
    full = camera_feature(images, FeatureSpec()).astype(int)
    small = camera_feature(images, FeatureSpec(image_height=128, image_width=512)).astype(int)
    assert small.shape == (128, 512, 3)
    seams = [136, 376]
    inner = np.delete(np.arange(512), [s + d for s in seams for d in (-1, 0)])
    assert np.abs(full[::2, ::2][:, inner] - small[:, inner]).max() <= 2


def test_missing_camera_and_wrong_size_are_named():
    images = flat(CAM_L0=0, CAM_F0=0, CAM_R0=0)
    with pytest.raises(UserError, match="CAM_R0"):
        camera_feature({name: images[name] for name in ("CAM_L0", "CAM_F0")}, FeatureSpec())
    images["CAM_F0"] = images["CAM_F0"][:540]
    with pytest.raises(UserError, match="CAM_F0"):
        camera_feature(images, FeatureSpec())
