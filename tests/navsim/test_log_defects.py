"""What spoils one frame of a log costs the scenes that hold the frame, and is named with log, frame and track."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from navsim_builders import LOG_NAME, assert_same, make_frame, make_log

from wotempo.errors import UserError
from wotempo.navsim import Log, SceneFilter, find_scenes, read_log
from wotempo.navsim.log_writer import write_log

BAD = 5  # the frame that is changed
TIMES = np.arange(20) * 0.5


def reread(tmp_path: Path, change: Callable[[list[dict[str, Any]]], None], times: Any = TIMES) -> Log:
    path = tmp_path / f"{LOG_NAME}.pkl"
    write_log(path, make_log(times).frames)
    raw = pickle.loads(path.read_bytes())
    change(raw)
    path.write_bytes(pickle.dumps(raw))
    return read_log(path, "mini")


def only_defect(log: Log) -> str:
    assert [i for i, frame in enumerate(log.frames) if frame.defect is not None] == [BAD]
    defect = log.frames[BAD].defect
    assert f"log {LOG_NAME}, frame {BAD} ({log.frames[BAD].token})" in defect.where
    assert log.frames[BAD].token not in defect.cause  # so that equal faults are counted together
    return str(defect)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_pose_that_is_not_finite_is_named(value: float, axis: int, tmp_path: Path):
    pose: list[float] = []

    def change(raw: list[dict[str, Any]]) -> None:
        raw[BAD]["ego2global_translation"][axis] = value
        pose.extend(np.array(raw[BAD]["ego2global_translation"][:2]).tolist())

    message = only_defect(reread(tmp_path, change))
    assert "pose (x, y, heading) is not finite" in message
    assert str(pose)[1:-1] in message


def set_item(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda frame: frame.__setitem__(key, value)


def set_box(column: int, value: float) -> Callable[[dict[str, Any]], None]:
    return lambda frame: frame["anns"]["gt_boxes"].__setitem__((1, column), value)


def set_velocity(value: float) -> Callable[[dict[str, Any]], None]:
    return lambda frame: frame["anns"]["gt_velocity_3d"].__setitem__((1, 0), value)


def set_anns(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda frame: frame["anns"].__setitem__(key, value)


def set_camera(key: str, place: Any, value: float) -> Callable[[dict[str, Any]], None]:
    def change(frame: dict[str, Any]) -> None:
        array = np.array(frame["cams"]["CAM_L0"][key])
        array[place] = value
        frame["cams"]["CAM_L0"][key] = array

    return change


TRACK = f"track {1:016x}"
FRAME_FAULTS = {
    "size": (set_box(3, np.nan), f"{TRACK}.*size or heading of a box is not finite"),
    "heading": (set_box(6, np.nan), f"{TRACK}.*heading of a box is not finite"),
    "centre": (set_box(0, -np.inf), f"{TRACK}.*the centre, size or heading of a box is not finite"),
    "centre beyond every map": (set_box(1, 1e300), f"{TRACK}.*centre"),
    "negative size": (set_box(4, -2.0), f"{TRACK}.*a box has no size"),
    "infinite velocity": (set_velocity(np.inf), f"{TRACK}.*velocity of a box is infinite"),
    "two commands": (set_item("driving_command", [1, 1, 0, 0]), r"\[1.0, 1.0, 0.0, 0.0\].*command is not one of four"),
    "no command": (set_item("driving_command", [0, 0, 0, 0]), "command is not one of four"),
    "half a command": (set_item("driving_command", [0.5, 0.5, 0, 0]), "command is not one of four"),
    "command that is NaN": (set_item("driving_command", [np.nan, 1, 0, 0]), "command is not one of four"),
    "rotation without length": (set_item("ego2global_rotation", [0, 0, 0, 0]), r"pose \(x, y, heading\) is not finite"),
    "rotation of another length": (set_item("ego2global_rotation", [2.0, 0, 0, 0]), "no unit quaternion"),
    "speed": (set_item("ego_dynamic_state", [np.nan, 0, 0, 0]), "its velocity is not finite"),
    "acceleration": (set_item("ego_dynamic_state", [1, 0, 0, np.inf]), "its acceleration is not finite"),
    "intrinsics": (set_camera("cam_intrinsic", (0, 2), np.nan), "CAM_L0: the calibration of a camera is not finite"),
    "focal length": (set_camera("cam_intrinsic", (0, 0), 0.0), "CAM_L0: the calibration of a camera .* none of"),
    "camera's rotation": (set_camera("sensor2lidar_rotation", (0, 0), 3.0), "CAM_L0: the calibration of a camera"),
    "fewer names": (
        set_anns("gt_names", np.array(["vehicle"])),
        r"arrays of anns have different lengths \[1, 3\]",
    ),
    "fewer tracks": (set_anns("track_tokens", ["a"]), "different lengths"),
    "a track twice": (set_anns("track_tokens", ["a", "b", "a"]), "a track stands in it twice"),
    "a track that is no text": (set_anns("track_tokens", ["a", "b", 3]), "its boxes are malformed"),
    "boxes of six numbers": (set_anns("gt_boxes", np.ones((3, 6))), "its boxes are malformed"),
    "no boxes array": (lambda frame: frame["anns"].pop("gt_boxes"), "its boxes lack the key 'gt_boxes'"),
    "boxes that are a list": (set_item("anns", [1]), "its boxes are malformed"),
}


@pytest.mark.parametrize("fault", FRAME_FAULTS)
def test_a_fault_of_one_frame_is_its_defect(fault: str, tmp_path: Path):
    change, match = FRAME_FAULTS[fault]
    log = reread(tmp_path, lambda raw: change(raw[BAD]))
    with pytest.raises(UserError, match=match):
        raise UserError(only_defect(log))
    scenes = find_scenes([log], SceneFilter())
    spoilt = {scene.index for scene in scenes if scene.defect is not None}
    # A scene holds three frames before its own and ten after it.
    assert spoilt == {scene.index for scene in scenes if scene.index - 3 <= BAD <= scene.index + 10}
    assert 0 < len(spoilt) < len(scenes)


def test_a_velocity_that_is_nan_is_none_and_counted(tmp_path: Path):
    def change(raw: list[dict[str, Any]]) -> None:
        for frame in raw:
            frame["anns"]["gt_velocity_3d"][:2] = np.nan

    log = reread(tmp_path, change)
    assert [frame.defect for frame in log.frames] == [None] * len(TIMES)
    assert log.unknown_velocities == 2 * len(TIMES)
    for frame, written in zip(log.frames, make_log(TIMES).frames, strict=True):
        np.testing.assert_array_equal(frame.boxes.velocity[:2], 0)
        np.testing.assert_array_equal(frame.boxes.velocity[2], written.boxes.velocity[2])


def test_keys_that_are_not_read_may_be_absent(tmp_path: Path):
    unread = ("frame_idx", "log_token", "scene_name", "vehicle_name", "can_bus", "sample_prev", "sample_next")
    matrices = ("lidar2ego_translation", "lidar2ego_rotation", "ego2global", "lidar2ego", "lidar2global")

    def change(raw: list[dict[str, Any]]) -> None:
        for frame in raw:
            for key in (*unread, *matrices):
                del frame[key]

    log = reread(tmp_path, change)
    expected = [
        dataclasses.replace(frame, log_token="", scene_name="", vehicle_name="", yaw_rate=0.0)
        for frame in make_log(TIMES).frames
    ]
    assert_same(log, Log(LOG_NAME, "mini", expected))


REFUSED = {
    "a token twice": (set_item("token", f"{3:016x}"), f"frames 3 and {BAD} have the same token {3:016x}"),
    "a token that is a path": (set_item("token", "../../x"), r"frame 5 is malformed \(its token is '../../x'"),
    "a token that is a number": (set_item("token", 7), "frame 5 is malformed"),
    "time that is infinite": (set_item("timestamp", np.inf), "frame 5 is malformed"),
    "time beyond 64 bits": (set_item("timestamp", 2**70), "its timestamp is 1180591620717411303424"),
    "a route that is one text": (set_item("roadblock_ids", "123"), "roadblock_ids is '123', which must be a list"),
    "a sensor path that is no text": (set_item("lidar_path", 5), "lidar_path is '5', which must be text"),
    "a location that is none": (set_item("map_location", None), "map_location is 'None', which must be text"),
    "a command of three": (set_item("driving_command", [0, 1, 0]), "frame 5 is malformed"),
    "a command of words": (set_item("driving_command", list("abcd")), "frame 5 is malformed"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_log_that_cannot_be_read_frame_by_frame_is_refused(fault: str, tmp_path: Path):
    change, match = REFUSED[fault]
    with pytest.raises(UserError, match=rf"{LOG_NAME}\.pkl: .*{match}"):
        reread(tmp_path, lambda raw: change(raw[BAD]))


def test_a_healthy_log_has_no_defect(golden_log_path: Path):
    log = read_log(golden_log_path, "golden")
    assert [frame.defect for frame in log.frames] == [None] * 16
    assert log.unknown_velocities == 0
    assert make_frame(0).defect is None


@pytest.mark.shared
def test_reference_logs_have_no_defect(shared_dir: Path):
    for path in sorted((shared_dir / "golden/navsim/navsim_logs/golden").glob("*.pkl")):
        assert all(frame.defect is None for frame in read_log(path, "golden").frames)
