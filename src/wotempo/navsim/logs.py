"""Log pickles -> typed records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.schema import AGENT_NAMES, CAMERAS, STATIC_NAMES, Boxes, Camera, Frame, Log
from wotempo.navsim.unpickle import load_pickle

_CLASS_NAMES = frozenset(AGENT_NAMES + STATIC_NAMES)
_CAN_BUS_YAW_RATE = 15  # x y z, qw qx qy qz, ax ay az, vx vy vz, wx wy wz, 0 0


def read_log(path: Path, split: str) -> Log:
    """Read one log pickle; ``split`` is the directory name that its sensor paths are relative to.

    Raises UserError naming the file when it is missing, damaged, asks for code, lacks a key, holds a pose that is not
    finite, or frames whose timestamps do not increase.
    """
    raw_frames = load_pickle(path)
    if not isinstance(raw_frames, list) or not raw_frames:
        raise UserError(f"{path}: not a NAVSIM log, which is a non-empty list of frames")
    calibrations: dict[bytes, tuple[np.ndarray, ...]] = {}
    frames = []
    for position, raw in enumerate(raw_frames):
        try:
            frames.append(_frame(raw, calibrations))
        except KeyError as error:
            raise UserError(f"{path}: frame {position} lacks the key {error}") from error
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise UserError(f"{path}: frame {position} is malformed ({error})") from error
        if frames[-1].log_name != path.stem:
            raise UserError(f"{path}: holds log {frames[-1].log_name!r}; a log file must bear its log's name")
        _check_course(path, position, frames)
    return Log(path.stem, split, frames)


def _check_course(path: Path, position: int, frames: list[Frame]) -> None:
    """Of the last frame read: a history is made of poses and times, and a wrong one would be learnt without a sign."""
    frame = frames[-1]
    if not np.isfinite(frame.pose).all():
        raise UserError(
            f"{path}: frame {position} ({frame.token}) has the pose {frame.pose.tolist()} (x, y, heading), which must "
            "be finite: fetch the log again, or leave it out"
        )
    if position and frame.timestamp_us <= frames[-2].timestamp_us:
        raise UserError(
            f"{path}: frame {position} ({frame.token}) has the timestamp {frame.timestamp_us}, which does not come "
            f"after {frames[-2].timestamp_us} of the frame before it: fetch the log again, or sort out its frames"
        )


def yaw_of(quaternion: np.ndarray) -> float:
    """Heading of a (w, x, y, z) rotation, with the Euler order that NAVSIM reads poses in.

    It differs from atan2(R10, R00) by about roll·pitch, so another order would move every label a little.
    """
    w, x, y, z = np.asarray(quaternion, np.float64) / np.linalg.norm(quaternion)
    return float(np.arctan2(2 * (w * z - x * y), 1 - 2 * (y * y + z * z)))


def _frame(raw: dict[str, Any], calibrations: dict[bytes, tuple[np.ndarray, ...]]) -> Frame:
    translation = raw["ego2global_translation"]
    dynamic = np.array(raw["ego_dynamic_state"], np.float64).reshape(4)
    return Frame(
        token=raw["token"],
        frame_idx=int(raw["frame_idx"]),
        timestamp_us=int(raw["timestamp"]),
        log_name=raw["log_name"],
        log_token=raw["log_token"],
        scene_name=raw["scene_name"],
        scene_token=raw["scene_token"],
        map_location=raw["map_location"],
        vehicle_name=raw["vehicle_name"],
        pose=np.array([translation[0], translation[1], yaw_of(raw["ego2global_rotation"])], np.float64),
        height=float(translation[2]),
        velocity=dynamic[:2],
        acceleration=dynamic[2:],
        yaw_rate=float(raw["can_bus"][_CAN_BUS_YAW_RATE]),
        command=np.array(raw["driving_command"], np.int64).reshape(4),
        roadblock_ids=tuple(str(i) for i in raw["roadblock_ids"]),
        traffic_lights=tuple((int(connector), bool(red)) for connector, red in raw["traffic_lights"]),
        # An unrequested camera may be an empty dict.
        cameras={name: _camera(raw["cams"][name], calibrations) for name in CAMERAS if raw["cams"][name]},
        lidar_path=str(raw["lidar_path"]),
        boxes=_boxes(raw["anns"]) if "anns" in raw else None,
    )


def _camera(raw: dict[str, Any], calibrations: dict[bytes, tuple[np.ndarray, ...]]) -> Camera:
    arrays = (
        np.array(raw["sensor2lidar_rotation"], np.float64).reshape(3, 3),
        np.array(raw["sensor2lidar_translation"], np.float64).reshape(3),
        np.array(raw["cam_intrinsic"], np.float64).reshape(3, 3),
        np.array(raw["distortion"], np.float64).reshape(5),
    )
    # A log repeats the same calibration in every frame; sharing it halves the memory of a loaded log.
    rotation, translation, intrinsics, distortion = calibrations.setdefault(
        b"".join(array.tobytes() for array in arrays), arrays
    )
    return Camera(str(raw["data_path"]), rotation, translation, intrinsics, distortion)


def _boxes(raw: dict[str, Any]) -> Boxes:
    boxes = np.array(raw["gt_boxes"], np.float64).reshape(-1, 7)
    names = np.array(raw["gt_names"], np.str_).reshape(-1)
    velocity = np.array(raw["gt_velocity_3d"], np.float64).reshape(-1, 3)
    instance_tokens, track_tokens = list(raw["instance_tokens"]), list(raw["track_tokens"])
    lengths = {len(boxes), len(names), len(velocity), len(instance_tokens), len(track_tokens)}
    if len(lengths) != 1:
        raise ValueError(f"the five arrays of anns have different lengths {sorted(lengths)}")
    if unknown := set(names.tolist()) - _CLASS_NAMES:
        raise ValueError(f"unknown class {min(unknown)!r} in gt_names")
    return Boxes(boxes, names, velocity, instance_tokens, track_tokens)
