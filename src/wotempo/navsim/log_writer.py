"""Typed records -> log pickles that the official tools read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wotempo.navsim.files import write_bytes
from wotempo.navsim.legacy_pickle import PROTOCOL, LegacyPickler
from wotempo.navsim.schema import CAMERAS, Boxes, Camera, Frame


def write_log(path: Path, frames: Sequence[Frame]) -> None:
    """Write ``<log_name>.pkl`` with the full key set of an OpenScene log, readable by numpy 1.23; atomic.

    The ego stands upright: roll and pitch are not part of ``Frame`` and are written as zero.
    Raises ValueError when the frames do not belong to ``path``, UserError when the disk is full.
    """
    if not frames:
        raise ValueError(f"{path}: a log needs at least one frame")
    if strangers := {frame.log_name for frame in frames} - {path.stem}:
        raise ValueError(f"{path}: frames of log {min(strangers)!r}; a log file must bear its log's name")
    tokens = [None, *(frame.token for frame in frames), None]
    raw = [_raw_frame(frame, tokens[i], tokens[i + 2]) for i, frame in enumerate(frames)]
    buffer = io.BytesIO()
    LegacyPickler(buffer, PROTOCOL).dump(raw)
    write_bytes(path, buffer.getvalue())


def _raw_frame(frame: Frame, previous: str | None, following: str | None) -> dict[str, Any]:
    x, y, heading = (float(value) for value in frame.pose)
    translation = np.array([x, y, frame.height], np.float64)
    rotation = np.array([np.cos(heading / 2), 0.0, 0.0, np.sin(heading / 2)], np.float64)
    velocity, acceleration = np.asarray(frame.velocity, np.float64), np.asarray(frame.acceleration, np.float64)
    ego2global = np.eye(4)
    ego2global[:2, :2] = [[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]]
    ego2global[:3, 3] = translation
    can_bus = [*translation, *rotation, *acceleration, 0, *velocity, 0, 0, 0, frame.yaw_rate, 0, 0]
    raw = {
        "token": frame.token,
        "frame_idx": int(frame.frame_idx),
        "timestamp": int(frame.timestamp_us),
        "log_name": frame.log_name,
        "log_token": frame.log_token,
        "scene_name": frame.scene_name,
        "scene_token": frame.scene_token,
        "map_location": frame.map_location,
        "roadblock_ids": list(frame.roadblock_ids),
        "vehicle_name": frame.vehicle_name,
        "can_bus": np.array(can_bus, np.float64),
        "lidar_path": frame.lidar_path,
        "lidar2ego_translation": np.zeros(3),
        "lidar2ego_rotation": [1.0, 0.0, 0.0, 0.0],
        "ego2global_translation": translation,
        "ego2global_rotation": rotation,
        "ego_dynamic_state": [float(value) for value in (*velocity, *acceleration)],
        "traffic_lights": [(int(connector), bool(red)) for connector, red in frame.traffic_lights],
        "driving_command": np.asarray(frame.command, np.int64),
        "cams": {name: _raw_camera(frame.cameras.get(name)) for name in CAMERAS},
        "sample_prev": previous,
        "sample_next": following,
        "ego2global": ego2global,
        "lidar2ego": np.eye(4),
        "lidar2global": ego2global.copy(),
    }
    if frame.boxes is not None:
        raw["anns"] = _raw_boxes(frame.boxes)
    return raw


def _raw_camera(camera: Camera | None) -> dict[str, Any]:
    if camera is None:
        return {}
    return {
        "data_path": camera.path,
        "sensor2lidar_rotation": np.asarray(camera.rotation, np.float64),
        "sensor2lidar_translation": np.asarray(camera.translation, np.float64),
        "cam_intrinsic": np.asarray(camera.intrinsics, np.float64),
        "distortion": np.asarray(camera.distortion, np.float64),
    }


def _raw_boxes(boxes: Boxes) -> dict[str, Any]:
    return {
        "gt_boxes": np.asarray(boxes.boxes, np.float64).reshape(-1, 7),
        "gt_names": np.asarray(boxes.names, np.str_).reshape(-1),
        "gt_velocity_3d": np.asarray(boxes.velocity, np.float64).reshape(-1, 3),
        "instance_tokens": list(boxes.instance_tokens),
        "track_tokens": list(boxes.track_tokens),
    }
