"""Log pickles -> typed records."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.defects import Calibrations, Ego, marked
from wotempo.navsim.schema import CAMERAS, Boxes, Camera, Defect, Frame, Log
from wotempo.navsim.unpickle import load_pickle

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
# SystemError: of text with letters that do not exist.
MALFORMED = (TypeError, ValueError, IndexError, AttributeError, OverflowError, SystemError)
_CALIBRATION = {
    "sensor2lidar_rotation": (3, 3),
    "sensor2lidar_translation": (3,),
    "cam_intrinsic": (3, 3),
    "distortion": (5,),
}
_CAN_BUS_YAW_RATE = 15  # x y z, qw qx qy qz, ax ay az, vx vy vz, wx wy wz, 0 0


def read_log(path: Path, split: str) -> Log:
    """Read one log pickle; ``split`` is the directory name that its sensor paths are relative to.

    Keys that neither the devkit nor this project reads may be absent. Values that spoil one frame only are the frame's
    ``defect`` (``defects.marked``). Raises UserError naming the file when it is missing, damaged, asks for code, lacks
    a key, holds a token twice, or frames whose timestamps do not increase.
    """
    raw_frames = load_pickle(path)
    if not isinstance(raw_frames, list) or not raw_frames:
        raise UserError(f"{path}: not a NAVSIM log, which is a non-empty list of frames")
    calibrations: Calibrations = {}
    frames: list[Frame] = []
    places: dict[str, int] = {}
    name = path.stem
    ego = _ego(path, raw_frames)
    for position, raw in enumerate(raw_frames):
        try:
            frames.append(_frame(raw, position, ego, calibrations))
        except (KeyError, *MALFORMED) as error:
            raise _misread(path, position, error) from error
        if frames[-1].log_name != name:
            raise UserError(f"{path}: holds log {frames[-1].log_name!r}; a log file must bear its log's name")
        _check_course(path, position, frames, places)
    return marked(Log(name, split, frames), ego, calibrations)


def _misread(path: Path, position: int, error: Exception) -> UserError:
    if isinstance(error, KeyError):
        return UserError(f"{path}: frame {position} lacks the key {error}")
    return UserError(f"{path}: frame {position} is malformed ({error})")


def _check_course(path: Path, position: int, frames: list[Frame], places: dict[str, int]) -> None:
    """Of the last frame read: a history is made of times, and a scene is known by its token alone."""
    frame = frames[-1]
    if position and frame.timestamp_us <= frames[-2].timestamp_us:
        raise UserError(
            f"{path}: frame {position} ({frame.token}) has the timestamp {frame.timestamp_us}, which does not come "
            f"after {frames[-2].timestamp_us} of the frame before it: fetch the log again, or sort out its frames"
        )
    if places.setdefault(frame.token, position) != position:
        raise UserError(
            f"{path}: frames {places[frame.token]} and {position} have the same token {frame.token}: fetch the log "
            "again, or leave it out"
        )


def _ego(path: Path, raw_frames: list[dict[str, Any]]) -> Ego:
    """The motion in all frames: read at once, which is a tenth of the work of one by one."""
    try:
        return _ego_of(raw_frames)
    except (KeyError, *MALFORMED):  # one frame is at fault, or frames differ in form
        rows = []
    for position, raw in enumerate(raw_frames):
        try:
            rows.append(_ego_of([raw]))
        except (KeyError, *MALFORMED) as error:
            raise _misread(path, position, error) from error
    return Ego(*map(np.concatenate, zip(*rows, strict=True)))


def _ego_of(raw_frames: list[dict[str, Any]]) -> Ego:
    count = len(raw_frames)
    translation = np.array([raw["ego2global_translation"] for raw in raw_frames], np.float64).reshape(count, -1)
    rotation = np.array([raw["ego2global_rotation"] for raw in raw_frames], np.float64).reshape(count, 4)
    dynamic = np.array([raw["ego_dynamic_state"] for raw in raw_frames], np.float64).reshape(count, 4)
    command = np.array([raw["driving_command"] for raw in raw_frames]).reshape(count, 4)
    if command.dtype.kind not in "iub":
        command = np.array(command, np.float64)
        command[~np.isin(command, (0, 1))] = -1
    pose = np.stack((translation[:, 0], translation[:, 1], headings(rotation)), axis=1)
    return Ego(pose, translation[:, 2], rotation, dynamic[:, :2], dynamic[:, 2:], command.astype(np.int64))


def headings(quaternions: np.ndarray) -> np.ndarray:
    """Headings (F,) of (w, x, y, z) rotations (F, 4), with the Euler order that NAVSIM reads poses in.

    They differ from atan2(R10, R00) by about roll·pitch, so another order would move every label a little.
    """
    squares = np.array([quaternion.dot(quaternion) for quaternion in quaternions])
    with np.errstate(invalid="ignore", divide="ignore"):  # of a rotation without length: a defect, found later
        w, x, y, z = (quaternions / np.sqrt(squares)[:, None]).T
        return np.arctan2(2 * (w * z - x * y), 1 - 2 * (y * y + z * z))


def _frame(raw: dict[str, Any], position: int, ego: Ego, calibrations: Calibrations) -> Frame:
    cams = raw["cams"]
    boxes, fault = _boxes(raw["anns"]) if "anns" in raw else (None, None)
    return Frame(
        token=_token(raw["token"]),
        frame_idx=int(raw.get("frame_idx", position)),
        timestamp_us=_microseconds(raw["timestamp"]),
        log_name=_text(raw["log_name"], "log_name"),
        log_token=raw.get("log_token", ""),
        scene_name=raw.get("scene_name", ""),
        scene_token=raw["scene_token"],
        map_location=_text(raw["map_location"], "map_location"),
        vehicle_name=raw.get("vehicle_name", ""),
        pose=ego.pose[position],
        height=float(ego.height[position]),
        velocity=ego.velocity[position],
        acceleration=ego.acceleration[position],
        yaw_rate=float(raw["can_bus"][_CAN_BUS_YAW_RATE]) if "can_bus" in raw else 0.0,
        command=ego.command[position],
        roadblock_ids=tuple(map(str, _sequence(raw["roadblock_ids"], "roadblock_ids"))),
        traffic_lights=tuple([(int(connector), bool(red)) for connector, red in raw["traffic_lights"]]),
        # An unrequested camera may be an empty dict.
        cameras={name: _camera(cams[name], calibrations) for name in CAMERAS if cams[name]},
        lidar_path=_path_below(raw["lidar_path"] or "", "lidar_path"),
        boxes=boxes,
        defect=None if fault is None else Defect(fault, f"log {raw['log_name']}, frame {position} ({raw['token']})"),
    )


def _token(value: Any) -> str:
    """The id of a frame: files and tables are named by it."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ValueError(f"its token is {str(value)[:50]!r}, which must be of letters, digits, - and _")
    return value


def _path_below(value: Any, key: str) -> str:
    """The text of a key that holds the path of a file below a given folder. ValueError where it would lead out of it:
    a log comes from elsewhere. (Links within the folder are its owner's, and followed.)"""
    path = _text(value, key)
    if path[:1] in ("/", "~") or "\0" in path or (".." in path and ".." in path.replace("\\", "/").split("/")):
        raise ValueError(f"{key} is {path[:80]!r}, which leads out of the folder of the sensors")
    return path


def _text(value: Any, key: str) -> str:
    """The text of a key that holds one."""
    if not isinstance(value, str):
        raise TypeError(f"{key} is {str(value)[:50]!r}, which must be text")
    return value


def _sequence(value: Any, key: str) -> Iterable[Any]:
    """The elements of a key that holds a list."""
    if isinstance(value, str | bytes):  # their elements would be letters
        raise TypeError(f"{key} is {value[:50]!r}, which must be a list")
    return value


def _microseconds(value: Any) -> int:
    """A time of a log."""
    if not 0 <= (time := int(value)) < 2**62:
        raise ValueError(f"its timestamp is {time}, which must be microseconds")
    return time


def _camera(raw: dict[str, Any], calibrations: Calibrations) -> Camera:
    # A log repeats the same calibration in every frame; sharing it halves the memory of a loaded log.
    given = [np.asarray(raw[name], np.float64) for name in _CALIBRATION]
    key = tuple(part.tobytes() for part in given)
    if key not in calibrations:
        shapes = _CALIBRATION.values()
        calibrations[key] = tuple(part.copy().reshape(shape) for part, shape in zip(given, shapes, strict=True))
    rotation, translation, intrinsics, distortion = calibrations[key]
    return Camera(_path_below(raw["data_path"], "data_path"), rotation, translation, intrinsics, distortion)


def _boxes(raw: dict[str, Any]) -> tuple[Boxes | None, str | None]:
    """The boxes of a frame, or why they cannot be read."""
    try:
        return _boxes_of(raw), None
    except KeyError as error:
        return None, f"its boxes lack the key {error}"
    except MALFORMED as error:
        return None, f"its boxes are malformed ({error})"


def _boxes_of(raw: dict[str, Any]) -> Boxes:
    boxes = np.array(raw["gt_boxes"], np.float64).reshape(-1, 7)
    names = np.array(raw["gt_names"], np.str_).reshape(-1)
    velocity = np.array(raw["gt_velocity_3d"], np.float64).reshape(-1, 3)
    instance_tokens, track_tokens = list(raw["instance_tokens"]), list(raw["track_tokens"])
    lengths = {len(boxes), len(names), len(velocity), len(instance_tokens), len(track_tokens)}
    if len(lengths) != 1:
        raise ValueError(f"the five arrays of anns have different lengths {sorted(lengths)}")
    if len(set(track_tokens)) < len(track_tokens):
        raise ValueError("a track stands in it twice")
    "".join(track_tokens)  # TypeError where one is no text
    return Boxes(boxes, names, velocity, instance_tokens, track_tokens)
