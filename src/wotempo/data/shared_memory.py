"""Shared memory of loader workers: how much their batches take, and what is left of it.

Workers hand their batches over in /dev/shm. Docker gives a container 64 MB of it, and a worker that gets no more prints
an error and drops the batch, for which the run would wait for ever.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from wotempo.data.frame_cache import frame_dtype
from wotempo.data.target_cache import target_dtype
from wotempo.errors import UserError
from wotempo.features import FeatureSpec
from wotempo.needs import WindowNeeds
from wotempo.targets import TargetSpec

SHM = Path("/dev/shm")
PREFETCHED = 2  # batches that torch lets each worker prepare ahead
REWARDS = 5 * 4  # bytes of an anchor's labels in a batch
ENLARGE = "enlarge it (docker run --shm-size=8g, or mount -o remount,size=8g /dev/shm)"


def batch_bytes(
    features: FeatureSpec,
    targets: TargetSpec,
    needs: WindowNeeds,
    batch_size: int,
    run_length: int = 1,
    anchors: int = 0,
    supervised: bool = True,
    images: bool = True,
) -> int:
    """Bytes of a batch. Windows of a run share the frames that they have in common. ``images``: whether it brings
    camera and LiDAR; the maps of a frozen encoder, in their place, are left out."""
    run = min(run_length, batch_size)
    frames = math.ceil(batch_size / run) * (run + (needs.frames - 1) * needs.stride)
    frame = frame_dtype(features)
    size = min(frames, batch_size * needs.frames) * (frame if images else frame["lidar"]).itemsize
    if needs.stacks:
        size += batch_size * needs.frames * frame["lidar"].itemsize
    if supervised:
        size += batch_size * (target_dtype(targets).itemsize + anchors * REWARDS * needs.labels)
    return size


def free_and_total(folder: Path = SHM) -> tuple[float, float]:
    """Bytes of shared memory that are free, and all; infinite on a machine that has no such folder."""
    try:
        state = os.statvfs(folder)
    except OSError:
        return math.inf, math.inf
    return float(state.f_bavail * state.f_frsize), float(state.f_blocks * state.f_frsize)


def state_of(folder: Path = SHM) -> str:
    """How much is left, in words."""
    free, total = free_and_total(folder)
    return f"{folder} has {free / 1e6:.1f} of {total / 1e6:.1f} MB free"


def lacking(batch: int, workers: int, folder: Path = SHM) -> str | None:
    """A sentence where batches of so many bytes from so many workers do not fit, else None."""
    needed = batch * workers * PREFETCHED
    if needed <= free_and_total(folder)[0]:
        return None
    return (
        f"the shared memory is too small: {workers} loader workers hold up to {needed / 1e6:.1f} MB of batches of "
        f"{batch / 1e6:.1f} MB in it, and {state_of(folder)}"
    )


def require_room(batch: int, workers: int, folder: Path = SHM) -> None:
    """UserError where batches of so many bytes from so many workers do not fit."""
    if (reason := lacking(batch, workers, folder)) is not None:
        raise UserError(f"{reason}: {ENLARGE}, or set num_workers=0")
