"""A small drive through random walls: batches of the fields that callbacks/base/protocol.py names. No project code."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

CELLS, SIZE = 64, 64  # cells and metres per side of the LiDAR map
STEP = 0.5  # s between frames
BATCH = 4


def relative(origin: Tensor, pose: Tensor) -> Tensor:
    """Poses (..., 3) in the axes of ``origin``."""
    dx, dy = (pose - origin)[..., 0], (pose - origin)[..., 1]
    cos, sin = torch.cos(origin[..., 2]), torch.sin(origin[..., 2])
    return torch.stack((cos * dx + sin * dy, -sin * dx + cos * dy, pose[..., 2] - origin[..., 2]), -1)


@cache
def drive(frames: int = 96) -> dict[str, Tensor]:
    """One drive at 4 to 8 m/s in gentle curves: global poses (N, 3) float64, speeds (N,), maps (N, 1, R, C) uint8."""
    time = torch.arange(frames, dtype=torch.float64) * STEP
    speed, yaw_rate = 6 + 2 * torch.sin(time / 5), 0.15 * torch.sin(time / 7)
    fine = 50  # integrate finely, as a vehicle does
    pose, state = [], torch.zeros(3, dtype=torch.float64)
    for v, w in zip(speed, yaw_rate, strict=True):
        pose.append(state.clone())
        for _ in range(fine):
            forward = torch.stack((torch.cos(state[2]), torch.sin(state[2])))
            state[:2] += forward * v * STEP / fine
            state[2] += w * STEP / fine
    poses = torch.stack(pose)
    return {"pose": poses, "speed": speed.float(), "lidar": _scan(poses)}


def _scan(poses: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    low, high = poses[:, :2].amin(0) - SIZE / 2, poses[:, :2].amax(0) + SIZE / 2
    count = int((high - low).prod() / 60)
    start = low + torch.rand(count, 1, 2, generator=generator, dtype=torch.float64) * (high - low)
    angle = torch.rand(count, 1, generator=generator, dtype=torch.float64) * math.pi
    along = torch.linspace(0, 8, 17, dtype=torch.float64)[None]
    walls = (start + torch.stack((along * angle.cos(), along * angle.sin()), -1)).reshape(-1, 2)
    maps = torch.zeros(len(poses), 1, CELLS, CELLS, dtype=torch.uint8)
    for frame, pose in enumerate(poses):
        local = relative(pose, torch.cat((walls, torch.zeros_like(walls[:, :1])), -1))[:, :2]
        cell = ((local + SIZE / 2) * CELLS / SIZE).floor().long()  # row: x ascending, column: y ascending
        row, col = cell[((cell >= 0) & (cell < CELLS)).all(-1)].T
        maps[frame, 0, row, col] = 1
    return maps


def make_batch(current: list[int], frames: int = 4) -> dict[str, Any]:
    """Samples whose current frames are ``current``; history before the start of the drive is not valid."""
    log = drive()
    wanted = torch.tensor(current)[:, None] + torch.arange(1 - frames, 1)  # (B, T) frames of the log
    valid = wanted >= 0
    unique, frame_index = torch.unique(wanted.clamp(min=0), return_inverse=True)
    pose = relative(log["pose"][wanted[:, -1:]], log["pose"][wanted.clamp(min=0)]).float()
    future = relative(log["pose"][wanted[:, -1:]], log["pose"][wanted[:, -1:] + torch.arange(1, 9)]).float()
    dt = (wanted[:, -1:] - wanted) * STEP
    return {
        "lidar": log["lidar"][unique],
        "frame_index": frame_index,
        "valid": valid,
        "pose": pose * valid[..., None],
        "dt": dt * valid,
        "timestamp_us": (wanted * STEP * 1e6).long(),
        "speed": log["speed"][wanted.clamp(min=0)] * valid,
        "status": torch.stack((log["speed"][wanted[:, -1]], torch.ones(len(current))), -1),
        "trajectory": future,
        "tokens": [f"frame{number:03d}" for number in current],
    }


def batches(count: int, frames: int = 4, seed: int = 0, size: int = BATCH) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(seed)
    log = len(drive()["pose"]) - 9
    draws = [torch.randint(0, log, (size,), generator=generator).tolist() for _ in range(count)]
    return [make_batch(sorted(draw), frames) for draw in draws]


def loader(count: int, frames: int = 4, fault: Callable[[dict[str, Any], int], None] | None = None) -> DataLoader:
    """``count`` batches; ``fault(batch, number)`` damages each in place."""
    ready = batches(count, frames)
    for number, batch in enumerate(ready):
        if fault is not None:
            fault(batch, number)
    return DataLoader(ready, batch_size=None)  # type: ignore[arg-type]
