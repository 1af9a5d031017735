"""The camera rig: axes, places, and the projection that everybody else uses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from render_world import project

from wotempo.city.sensors.rig import MOUNTS, rig_camera
from wotempo.errors import UserError
from wotempo.navsim.schema import CAMERAS


def test_the_rig_has_exactly_the_eight_cameras():
    assert tuple(MOUNTS) == CAMERAS


@pytest.mark.parametrize("name", CAMERAS)
def test_rotations_turn_camera_axes_into_ego_axes(name):
    rotation = rig_camera(name, "x.jpg").rotation
    right, down, forward = rotation.T
    yaw = np.deg2rad(MOUNTS[name][1])
    np.testing.assert_allclose(forward, [np.cos(yaw), np.sin(yaw), 0], atol=1e-12)
    np.testing.assert_allclose(down, [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(np.cross(right, down), forward, atol=1e-12)  # a rotation, not a reflection


def test_left_and_right_cameras_mirror():
    for left, right in (("CAM_L0", "CAM_R0"), ("CAM_L1", "CAM_R1"), ("CAM_L2", "CAM_R2")):
        (x, y, z), yaw = MOUNTS[left]
        assert MOUNTS[right] == ((x, -y, z), -yaw)


def test_front_camera_projects_by_the_pinhole_formula():
    camera = rig_camera("CAM_F0", "x.jpg")
    # 10 m ahead of the lens: straight, 1 m to the left, 1 m up
    points = np.array([[11.65, 0, 1.5], [11.65, 1, 1.5], [11.65, 0, 2.5]])
    pixels, depth = project(camera, points)
    np.testing.assert_allclose(pixels, [[960, 560], [960 - 154.5, 560], [960, 560 - 154.5]])
    np.testing.assert_allclose(depth, 10)


def test_projection_is_k_r_transposed_p_minus_t():
    camera = rig_camera("CAM_L1", "x.jpg")
    point = np.array([-2.0, 8.0, 0.3])
    u, v, w = camera.intrinsics @ (camera.rotation.T @ (point - camera.translation))
    pixel, depth = project(camera, point)
    np.testing.assert_allclose([*pixel, depth], [u / w, v / w, w])


def test_images_are_undistorted_and_unknown_cameras_refused():
    assert not rig_camera("CAM_B0", "x.jpg").distortion.any()
    with pytest.raises(UserError, match="CAM_F1"):
        rig_camera("CAM_F1", "x.jpg")


@pytest.mark.shared
def test_the_rig_is_the_real_one_in_round_figures(shared_dir):
    real = json.loads((shared_dir / "data" / "nuplan_rig" / "nuplan_8cam_rig_A.json").read_text())["cams"]
    for name in CAMERAS:
        camera = rig_camera(name, "x.jpg")
        np.testing.assert_allclose(camera.translation, real[name]["sensor2lidar_translation"], atol=0.06)
        turn = camera.rotation.T @ np.array(real[name]["sensor2lidar_rotation"])
        assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) < 3.0
        np.testing.assert_allclose(camera.intrinsics, real[name]["intrinsics"])
