"""The frames that go into a stream and the plans that come out, and the checks that refuse a frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wotempo.errors import UserError
from wotempo.planners.config import ModelConfig


@dataclass(frozen=True)
class StreamFrames:
    """One frame of each of S streams, raw as the frame cache keeps them.

    Of a stream that is not ``present`` (a dropped frame) only the time is read; the rest may hold anything.
    """

    camera: Tensor  # (S, 3, H, W) uint8 RGB, stitched
    lidar: Tensor  # (S, 1, R, C) uint8 counts
    pose: Tensor  # (S, 3) float64 global x, y (m), heading (rad) of the rear axle
    timestamp_us: Tensor  # (S,) int64, of the frame or of the tick that brought none
    status: Tensor  # (S, 8) float32: command one-hot, velocity (m/s), acceleration (m/s²) in ego axes
    present: Tensor  # (S,) bool


@dataclass(frozen=True)
class Plans:
    """The answer to one push, on the model's device."""

    trajectory: Tensor  # (S, P, 3) x, y, heading in the current ego frame, every 0.5 s; NaN where nothing is planned
    planned: Tensor  # (S,) bool: the stream brought a frame
    resets: tuple[str | None, ...]  # per stream: why its memory was emptied before this frame, or None


def check_frames(frames: StreamFrames, config: ModelConfig, streams: int) -> None:
    """UserError naming what came and what fits. Costs no look at the pixels."""
    fits = {
        "camera": ((streams, 3, config.image_height, config.image_width), torch.uint8),
        "lidar": ((streams, 1, *config.lidar_shape), torch.uint8),
        "pose": ((streams, 3), torch.float64),  # float32 would round UTM coordinates to half a metre
        "timestamp_us": ((streams,), torch.int64),
        "status": ((streams, config.status_size), torch.float32),
        "present": ((streams,), torch.bool),
    }
    for name, (shape, dtype) in fits.items():
        value = getattr(frames, name)
        if tuple(value.shape) != shape:
            raise UserError(
                f"frames.{name} is {tuple(value.shape)}, this planner takes {shape} ({streams} streams): "
                "build the features with the model's sizes"
            )
        if value.dtype != dtype:
            raise UserError(f"frames.{name} is {value.dtype}, this planner takes {dtype}: convert it")
