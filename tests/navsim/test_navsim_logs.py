"""Log pickles: what is read is what the official reader sees, and what is written the official reader can read."""

from __future__ import annotations

import dataclasses
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest
from navsim_builders import LOG_NAME, assert_same, make_frame, make_log

from wotempo.errors import UserError
from wotempo.navsim import Log, read_log
from wotempo.navsim.log_writer import write_log
from wotempo.navsim.logs import headings
from wotempo.navsim.schema import CAMERAS

OFFICIAL_KEYS = {
    *("token", "frame_idx", "timestamp", "log_name", "log_token", "scene_name", "scene_token", "map_location"),
    *("roadblock_ids", "vehicle_name", "can_bus", "lidar_path", "lidar2ego_translation", "lidar2ego_rotation"),
    *("ego2global_translation", "ego2global_rotation", "ego_dynamic_state", "traffic_lights", "driving_command"),
    *("cams", "sample_prev", "sample_next", "ego2global", "lidar2ego", "lidar2global", "anns"),
}


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")  # the plain pickle.loads beside ours
def test_a_log_of_numpy_1_reads_as_what_it_holds(golden_log_path: Path):
    log = read_log(golden_log_path, "golden")
    raw_frames = pickle.loads(golden_log_path.read_bytes())
    assert (log.name, log.split, len(log.frames)) == (golden_log_path.stem, "golden", 16)
    for raw, frame in zip(raw_frames, log.frames, strict=True):
        assert (frame.token, frame.timestamp_us, frame.frame_idx) == (raw["token"], raw["timestamp"], raw["frame_idx"])
        assert frame.roadblock_ids == tuple(raw["roadblock_ids"])
        np.testing.assert_allclose(frame.pose[:2], raw["ego2global"][:2, 3], rtol=0, atol=0)
        np.testing.assert_allclose(
            [np.cos(frame.pose[2]), np.sin(frame.pose[2])], raw["ego2global"][:2, 0], rtol=0, atol=1e-12
        )
        assert frame.height == raw["can_bus"][2]
        assert frame.yaw_rate == raw["can_bus"][15]
        np.testing.assert_array_equal([*frame.velocity, *frame.acceleration], raw["ego_dynamic_state"])
        np.testing.assert_array_equal(frame.command, raw["driving_command"])
        np.testing.assert_array_equal(frame.boxes.boxes, raw["anns"]["gt_boxes"])
        np.testing.assert_array_equal(frame.boxes.velocity, raw["anns"]["gt_velocity_3d"])
        assert frame.boxes.names.tolist() == list(raw["anns"]["gt_names"])
        assert frame.boxes.track_tokens == raw["anns"]["track_tokens"]
        assert list(frame.cameras) == list(CAMERAS)
        for name, camera in frame.cameras.items():
            assert camera.path == raw["cams"][name]["data_path"]
            np.testing.assert_array_equal(camera.rotation, raw["cams"][name]["sensor2lidar_rotation"])
            np.testing.assert_array_equal(camera.intrinsics, raw["cams"][name]["cam_intrinsic"])


def test_golden_survives_writing_and_reading(golden_log_path: Path, tmp_path: Path):
    log = read_log(golden_log_path, "golden")
    write_log(tmp_path / golden_log_path.name, log.frames)
    assert_same(read_log(tmp_path / golden_log_path.name, "golden"), log)


@pytest.mark.shared
def test_all_reference_logs_survive_writing_and_reading(shared_dir: Path, tmp_path: Path):
    paths = sorted((shared_dir / "golden/navsim/navsim_logs/golden").glob("*.pkl"))
    assert len(paths) == 3
    for path in paths:
        log = read_log(path, "golden")
        write_log(tmp_path / path.name, log.frames)
        assert_same(read_log(tmp_path / path.name, "golden"), log)


def test_frames_of_all_kinds_survive(tmp_path: Path):
    frames = [
        make_frame(0),
        make_frame(1, num_boxes=0),
        make_frame(2, boxes=None, roadblock_ids=(), traffic_lights=()),
        make_frame(3, cameras={"CAM_F0": make_frame(3).cameras["CAM_F0"]}),
    ]
    write_log(tmp_path / f"{LOG_NAME}.pkl", frames)
    assert_same(read_log(tmp_path / f"{LOG_NAME}.pkl", "mini"), Log(LOG_NAME, "mini", frames))


def test_a_written_log_has_every_official_key_in_its_type(tmp_path: Path):
    write_log(tmp_path / f"{LOG_NAME}.pkl", [make_frame(i) for i in range(3)])
    raw = pickle.loads((tmp_path / f"{LOG_NAME}.pkl").read_bytes())
    frame = raw[1]
    assert set(frame) == OFFICIAL_KEYS
    assert (frame["sample_prev"], frame["sample_next"]) == (raw[0]["token"], raw[2]["token"])
    assert (raw[0]["sample_prev"], raw[2]["sample_next"]) == (None, None)
    assert type(frame["timestamp"]) is int
    assert frame["roadblock_ids"] == ["12", "345"]
    assert frame["traffic_lights"] == [(7001, True), (7002, False)]
    assert frame["can_bus"].shape == (18,)
    np.testing.assert_array_equal(frame["can_bus"][3:7], frame["ego2global_rotation"])
    np.testing.assert_array_equal(frame["can_bus"][[10, 11, 7, 8]], frame["ego_dynamic_state"])
    np.testing.assert_array_equal(frame["ego2global"][:3, 3], frame["ego2global_translation"])
    assert set(frame["cams"]) == set(CAMERAS)
    assert {key: value.shape for key, value in frame["anns"].items() if isinstance(value, np.ndarray)} == {
        "gt_boxes": (3, 7),
        "gt_names": (3,),
        "gt_velocity_3d": (3, 3),
    }


def test_a_written_log_speaks_the_language_of_numpy_1(tmp_path: Path):
    path = tmp_path / f"{LOG_NAME}.pkl"
    write_log(path, [make_frame(0)])
    words = {argument for _, argument, _ in pickletools.genops(path.read_bytes()) if isinstance(argument, str)}
    assert {"numpy", "numpy.core.multiarray", "_reconstruct"} <= words
    assert not any(word.startswith("numpy._core") for word in words)


def test_heading_has_the_official_euler_order():
    """Official: yaw = atan2(-R01, R00) of the rotation matrix. With roll and pitch this is not atan2(R10, R00)."""
    for w, x, y, z in np.random.default_rng(0).normal(size=(20, 4)):
        n = w * w + x * x + y * y + z * z
        r00, r01 = 1 - 2 * (y * y + z * z) / n, 2 * (x * y - w * z) / n
        assert headings(np.array([[w, x, y, z]]))[0] == pytest.approx(np.arctan2(-r01, r00), abs=1e-12)
    assert headings(np.array([[np.cos(0.3), 0, 0, np.sin(0.3)]]))[0] == pytest.approx(0.6, abs=1e-12)


def test_calibrations_are_shared_between_frames(tmp_path: Path):
    frames = [make_frame(i, cameras=make_frame(0).cameras) for i in range(5)]
    write_log(tmp_path / f"{LOG_NAME}.pkl", frames)
    read = read_log(tmp_path / f"{LOG_NAME}.pkl", "mini").frames
    assert read[0].cameras["CAM_L0"].intrinsics is read[4].cameras["CAM_L0"].intrinsics


@pytest.mark.parametrize("key", ["token", "timestamp", "ego_dynamic_state", "scene_token", "cams"])
def test_a_missing_key_is_named(tmp_path: Path, key: str):
    path = tmp_path / f"{LOG_NAME}.pkl"
    write_log(path, [make_frame(0), make_frame(1)])
    raw = pickle.loads(path.read_bytes())
    del raw[1][key]
    path.write_bytes(pickle.dumps(raw))
    with pytest.raises(UserError, match=rf"{LOG_NAME}\.pkl: frame 1 lacks the key '{key}'"):
        read_log(path, "mini")


def test_malformed_logs_are_refused(tmp_path: Path):
    path = tmp_path / f"{LOG_NAME}.pkl"
    for content, match in (([], "non-empty list"), ({"a": 1}, "non-empty list"), ([1, 2], "frame 0 is malformed")):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(UserError, match=match):
            read_log(path, "mini")
    frame = make_frame(0)
    short = dataclasses.replace(frame.boxes, track_tokens=["a"])
    strange = dataclasses.replace(frame.boxes, names=np.array(["vehicle", "unicorn", "vehicle"]))
    for boxes, match in ((short, "different lengths"), (strange, "unknown class 'unicorn'")):
        write_log(path, [dataclasses.replace(frame, boxes=boxes), make_frame(1)])
        spoilt, whole = read_log(path, "mini").frames
        assert match in spoilt.defect.cause
        assert (spoilt.boxes, whole.defect) == (None, None)


def test_a_renamed_log_is_refused(tmp_path: Path):
    write_log(tmp_path / f"{LOG_NAME}.pkl", [make_frame(0)])
    (tmp_path / f"{LOG_NAME}.pkl").rename(tmp_path / "other.pkl")
    with pytest.raises(UserError, match=r"other\.pkl: holds log"):
        read_log(tmp_path / "other.pkl", "mini")
    with pytest.raises(ValueError, match="must bear its log's name"):
        write_log(tmp_path / "other.pkl", make_log([0, 0.5]).frames)


def refusal(tmp_path: Path, log: Log) -> str:
    path = tmp_path / f"{LOG_NAME}.pkl"
    write_log(path, log.frames)
    with pytest.raises(UserError) as caught:
        read_log(path, "mini")
    assert str(caught.value).startswith(f"{path}: frame ")
    return str(caught.value)


@pytest.mark.parametrize("times", [(0.0, 0.5, 0.5, 1.0), (0.0, 0.5, 0.4, 1.0)], ids=["twice", "backwards"])
def test_timestamps_that_do_not_increase_are_refused_with_both(times, tmp_path: Path):
    log = make_log(times)
    message = refusal(tmp_path, log)
    assert "frame 2 " in message
    assert all(str(log.frames[i].timestamp_us) in message for i in (1, 2))
