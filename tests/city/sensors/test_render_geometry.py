"""Where things appear in the image: the pinhole formula, occlusion, frames, the culling of the ray caster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from render_world import POSE, actors, bare_world, busy_street, corners, project, render_camera

from wotempo.city.sensors import render
from wotempo.city.sensors.raycast import SOURCES, cast
from wotempo.city.sensors.render import scaled_intrinsics, trace, view_of
from wotempo.city.sensors.rig import rig_camera
from wotempo.city.sensors.scenery import take_snapshot
from wotempo.city.sensors.world import AXLE_HEIGHT
from wotempo.navsim.schema import CAMERAS

MAGENTA, GREEN = (255, 0, 255), (0, 255, 0)


def picture(world, who, name="CAM_F0", pose=POSE):
    return render_camera(world, who, pose, rig_camera(name, "x.jpg")).astype(int)


def is_magenta(image):
    return np.minimum(image[..., 0], image[..., 2]) > image[..., 1] + 60


def is_green(image):
    return image[..., 1] > np.maximum(image[..., 0], image[..., 2]) + 60


def surfaces(world, who, name, pose=POSE):
    return seen_by(rig_camera(name, "x.jpg"), world, who, pose)


def seen_by(camera, world, who, pose=POSE):
    view = view_of(camera)
    return trace(take_snapshot(world, who, pose, AXLE_HEIGHT), view)


@pytest.mark.parametrize(
    ("name", "box"),
    [
        ("CAM_F0", (14.0, 1.0, 0.3, 1.5, 1.0, 1.4, 0.0)),
        ("CAM_F0", (9.0, -2.0, 0.8, 1.0, 2.0, 0.9, 0.6)),
        ("CAM_L0", (6.0, 7.0, 0.2, 2.0, 1.0, 1.2, -0.4)),
        ("CAM_R0", (7.0, -8.0, 0.2, 1.0, 1.0, 1.2, 1.1)),
        ("CAM_B0", (-12.0, 2.0, 0.4, 1.0, 1.0, 1.6, 0.2)),
    ],
)
def test_a_box_covers_the_pixels_that_the_pinhole_formula_says(name, box):
    image = picture(bare_world(), actors(("generic_object", box, MAGENTA)), name)
    rows, columns = np.nonzero(is_magenta(image))
    pixels, depth = project(rig_camera(name, "x.jpg"), corners(box))
    assert (depth > 0).all()
    quarter = (pixels + 0.5) / 4 - 0.5
    low, high = quarter.min(0), quarter.max(0)
    assert low.min() > 1, "the box should lie inside the image"
    found = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
    np.testing.assert_allclose(found, [*low, *high], atol=1.0)


def test_quarter_size_intrinsics_keep_pixel_centres():
    camera = rig_camera("CAM_F0", "x.jpg")
    small = scaled_intrinsics(camera.intrinsics, 0.25)
    u, v, w = small @ (camera.rotation.T @ (np.array([9.0, 2.0, 0.5]) - camera.translation))
    full, _ = project(camera, np.array([9.0, 2.0, 0.5]))
    np.testing.assert_allclose([u / w, v / w], (full + 0.5) / 4 - 0.5)


def test_the_nearer_box_hides_the_farther_one_whatever_their_order():
    near = ("generic_object", (8.0, 0.0, 0.6, 1.0, 3.0, 2.0, 0.0), MAGENTA)
    far = ("generic_object", (16.0, 0.0, 0.3, 1.0, 1.0, 1.0, 0.0), GREEN)
    assert is_green(picture(bare_world(), actors(far))).sum() > 200
    for order in ((near, far), (far, near)):
        image = picture(bare_world(), actors(*order))
        assert is_magenta(image).sum() > 1000
        assert not is_green(image).any()


def test_side_cameras_see_their_own_side():
    left = actors(("generic_object", (6.0, 8.0, 0.6, 2.0, 2.0, 2.0, 0.0), MAGENTA))
    for name, seen in (("CAM_L0", True), ("CAM_R0", False), ("CAM_R1", False), ("CAM_B0", False)):
        assert is_magenta(picture(bare_world(), left, name)).any() == seen


def test_the_ground_is_0_4_m_below_the_rear_axle():
    depth, hit, _, _ = surfaces(bare_world(), actors(), "CAM_F0")
    view = view_of(rig_camera("CAM_F0", "x.jpg"))
    ground = np.isfinite(depth)
    z = view.origin[2] + depth[ground] * view.rays[ground][:, 2]
    np.testing.assert_allclose(z, -0.4, atol=1e-4)
    assert ground.sum() == ground[140:].sum() == ground[140:].size  # everything below the horizon (row 139.6)
    assert (hit == -1).all()


def tilted_camera():
    tilt = np.array([[0.98, -0.199, 0.0], [0.199, 0.98, 0.0], [0.0, 0.0, 1.0]])  # about the optical axis
    nod = np.array([[1.0, 0.0, 0.0], [0.0, 0.8, -0.6], [0.0, 0.6, 0.8]])
    camera = rig_camera("CAM_F0", "x.jpg")
    return replace(camera, rotation=camera.rotation @ nod @ tilt)


@pytest.mark.parametrize("camera", [*(rig_camera(name, "x.jpg") for name in CAMERAS), tilted_camera()])
def test_culling_loses_nothing(camera, monkeypatch):
    world, who = busy_street(3)
    depth, hit, face, _ = seen_by(camera, world, who)

    def everywhere(rows, view):
        height, width = view.rays.shape[:2]
        return np.tile(np.array([0, height, 0, width]), (len(rows), 1)), np.zeros(len(rows))

    monkeypatch.setattr(render, "screen_windows", everywhere)
    full_depth, full_hit, full_face, _ = seen_by(camera, world, who)
    assert (hit >= 0).mean() > 0.03
    np.testing.assert_array_equal(depth, full_depth)
    np.testing.assert_array_equal(hit >= 0, full_hit >= 0)
    np.testing.assert_array_equal(face, full_face)


def test_moving_world_and_ego_together_changes_nothing():
    there = POSE + np.array([40_000.0, -25_000.0, 0.0])
    here = picture(*busy_street(1))
    moved = picture(*busy_street(1, there), pose=there)
    # cx and cy of solids are float32 and the same in both; what is left is the rounding of UTM-sized numbers
    assert (np.abs(here - moved).max(-1) > 2).mean() < 1e-3


def test_turning_world_and_ego_together_moves_nothing_in_the_image():
    turned = POSE + np.array([0.0, 0.0, 1.3])  # the sun stays, so colours may change
    depth, hit, _, _ = surfaces(*busy_street(2), "CAM_L0")
    depth_turned, hit_turned, _, _ = surfaces(*busy_street(2, turned), "CAM_L0", turned)
    same = (hit >= 0) == (hit_turned >= 0)
    assert same.mean() > 0.999
    close = np.isclose(depth[same], depth_turned[same], rtol=1e-3)
    assert close.mean() > 0.999


def test_the_same_frame_renders_to_the_same_bytes():
    first, second = (picture(*busy_street(4), "CAM_L0") for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_cached_kernels_are_tied_to_all_their_sources():
    picture(bare_world(), actors())
    assert cast.signatures
    assert all(str(SOURCES) in str(signature) for signature in cast.signatures)
