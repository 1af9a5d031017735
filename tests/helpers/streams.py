"""Drives to push through a ``StreamingPlanner``: random pixels, and poses that agree with clock and speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from static_world import STEP_SECONDS, drives
from torch import Tensor

from wotempo.planners.config import ModelConfig
from wotempo.planners.wote.wote import WoTE
from wotempo.streaming.frames import StreamFrames

START_US = 1_600_000_000_000_000


def drive_frames(config: ModelConfig, length: int, streams: int = 1, seed: int = 0) -> list[StreamFrames]:
    """``length`` frames of ``streams`` drives at UTM-sized places, 0-20 m/s, steps of about half a second."""
    g, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    poses = drives(streams, max(length, 2), seed=seed)  # a speed takes two
    steps = np.hypot(*np.moveaxis(np.diff(poses[..., :2], axis=1), -1, 0)) / STEP_SECONDS
    speeds = np.concatenate((steps[:, :1], steps), 1)
    times = START_US + np.arange(length) * 500_000 + rng.integers(-20_000, 20_000, (streams, length))
    frames = []
    for t in range(length):
        status = torch.randn(streams, config.status_size, generator=g)
        status[:, 4], status[:, 5] = torch.from_numpy(speeds[:, t]), 0.0
        size = (config.image_height, config.image_width)
        frames.append(
            StreamFrames(
                camera=torch.randint(0, 256, (streams, 3, *size), dtype=torch.uint8, generator=g),
                lidar=torch.randint(0, 6, (streams, 1, *config.lidar_shape), dtype=torch.uint8, generator=g),
                pose=torch.from_numpy(poses[:, t].copy()),
                timestamp_us=torch.from_numpy(times[:, t].copy()),
                status=status,
                present=torch.ones(streams, dtype=torch.bool),
            )
        )
    return frames


def dropped(frames: StreamFrames, *streams: int) -> StreamFrames:
    """The same with nothing but the time of ``streams``: the rest is what must not be read."""
    rows = list(streams)
    changed = {name: getattr(frames, name).clone() for name in ("camera", "lidar", "pose", "status", "present")}
    changed["camera"][rows], changed["lidar"][rows], changed["present"][rows] = 255, 5, False
    changed["pose"][rows], changed["status"][rows] = torch.nan, torch.nan
    return replace(frames, **changed)


def of_stream(frames: StreamFrames, s: int) -> StreamFrames:
    return StreamFrames(**{name: value[s : s + 1] for name, value in vars(frames).items()})


@torch.no_grad()
def encoded_one_by_one(model: WoTE, camera: Tensor, lidar: Tensor) -> Tensor:
    """(F, C, rows, cols). In one batch the last bits differ: convolutions sum in another order."""
    scale = model.config.lidar_max
    pairs = zip(camera, lidar, strict=True)
    return torch.cat([model.encode(c[None].float() / 255, x[None].float() / scale) for c, x in pairs])
