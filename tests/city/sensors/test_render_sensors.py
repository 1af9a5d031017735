"""The files of one frame: names, formats, determinism, full disks; and that a model loses nothing by quarter size."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from render_world import POSE, busy_street, render_camera, scan_lidar

from wotempo.city.sensors.files import enlarge, write_sensors
from wotempo.city.sensors.rig import rig_camera
from wotempo.city.sensors.world import AXLE_HEIGHT
from wotempo.errors import UserError
from wotempo.features import FeatureSpec, camera_feature
from wotempo.navsim.images import read_image
from wotempo.navsim.pcd import read_pcd
from wotempo.navsim.schema import CAMERAS, STITCHED_CAMERAS, Boxes, Frame

TOKEN = "00d1a5c0ffee0042"


@pytest.fixture(scope="module")
def street():
    return busy_street(12)


@pytest.fixture
def frame() -> Frame:
    nobody = Boxes(np.zeros((0, 7)), np.zeros(0, str), np.zeros((0, 3)), [], [])
    return Frame(
        token=TOKEN, frame_idx=0, timestamp_us=0, log_name="log", log_token="0" * 16, scene_name="scene",
        scene_token="1" * 16, map_location="us-nv-las-vegas-strip", vehicle_name="veh", pose=POSE, height=AXLE_HEIGHT,
        velocity=np.zeros(2), acceleration=np.zeros(2), yaw_rate=0.0, command=np.array([0, 1, 0, 0]),
        roadblock_ids=(), traffic_lights=(), boxes=nobody, lidar_path=f"log/MergedPointCloud/{TOKEN}.pcd",
        cameras={name: rig_camera(name, f"log/{name}/{TOKEN}.jpg") for name in CAMERAS},
    )  # fmt: skip


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_frame_names_the_files(street, frame, tmp_path):
    write_sensors(*street, frame, tmp_path)
    expected = {frame.cameras[name].path for name in STITCHED_CAMERAS} | {frame.lidar_path}
    assert set(files_below(tmp_path)) == expected


def test_the_other_cameras_are_rendered_on_request(street, frame, tmp_path):
    write_sensors(*street, frame, tmp_path, cameras=("CAM_B0", "CAM_L2"))
    assert {path.split("/")[1] for path in files_below(tmp_path)} == {"CAM_B0", "CAM_L2", "MergedPointCloud"}


def test_images_are_the_rendered_ones_at_full_size(street, frame, tmp_path):
    write_sensors(*street, frame, tmp_path, cameras=("CAM_L0",))
    image = read_image(tmp_path / frame.cameras["CAM_L0"].path)
    assert image.shape == (1080, 1920, 3)
    rendered = render_camera(*street, POSE, rig_camera("CAM_L0", "x.jpg"))
    error = np.abs(image.astype(int) - enlarge(rendered))
    assert error.mean() < 2.0


def test_the_cloud_on_disk_is_the_scan_seeded_by_the_token(street, frame, tmp_path):
    write_sensors(*street, frame, tmp_path, cameras=())
    cloud = read_pcd(tmp_path / frame.lidar_path)
    xyz, intensity, ring, lidar_id = scan_lidar(*street, POSE, seed=int(TOKEN, 16))
    np.testing.assert_array_equal(cloud, np.vstack((xyz.T, intensity, ring, lidar_id)))


def test_rendering_again_writes_the_same_bytes(street, frame, tmp_path):
    for name in ("a", "b"):
        write_sensors(*street, frame, tmp_path / name)
    assert files_below(tmp_path / "a") == files_below(tmp_path / "b")


def test_a_full_disk_is_a_user_error_and_leaves_no_halves(street, frame, tmp_path, monkeypatch):
    whole = Path.write_bytes

    def disk_full(path, data):
        whole(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", disk_full)
    with pytest.raises(UserError, match="No space left"):
        write_sensors(*street, frame, tmp_path)
    assert files_below(tmp_path) == {}


def test_a_model_sees_what_was_rendered(street):
    small = {name: render_camera(*street, POSE, rig_camera(name, "x.jpg")) for name in STITCHED_CAMERAS}
    seen = camera_feature({name: enlarge(image) for name, image in small.items()}, FeatureSpec())
    # the same crops on the quarter-size images, without any resampling
    parts = [small[name][7:-7] if name == "CAM_F0" else small[name][7:-7, 104:-104] for name in STITCHED_CAMERAS]
    direct = np.concatenate(parts, axis=1)
    assert seen.shape == direct.shape == (256, 1024, 3)
    assert np.abs(seen.astype(int) - direct).mean() < 1.5
    # no shift: the true alignment fits better than its neighbours by far
    for step in (-1, 1):
        for axis in (0, 1):
            shifted = np.roll(direct, step, axis)
            assert np.abs(seen.astype(int) - shifted).mean() > 3 * np.abs(seen.astype(int) - direct).mean()


def test_enlarging_keeps_pixel_centres():
    ramp = np.tile(np.linspace(0, 255, 480).astype(np.uint8)[None, :, None], (270, 1, 3))
    back = cv2.resize(enlarge(ramp), (480, 270), interpolation=cv2.INTER_AREA)
    assert np.abs(back.astype(int) - ramp).max() <= 1
