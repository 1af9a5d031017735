"""The latency of a push, beside the same model without history."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from wotempo.errors import UserError
from wotempo.planners.backbone.frames import unit_range
from wotempo.planners.base import Planner
from wotempo.streaming.frames import StreamFrames
from wotempo.streaming.planner import StreamingPlanner

Result = TypeVar("Result")


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds."""

    p50: float
    p90: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Percentiles:
        return cls(*(1e3 * np.percentile(seconds, (50, 90, 99))))

    def __str__(self) -> str:
        return f"p50 {self.p50:.1f} ms, p90 {self.p90:.1f} ms, p99 {self.p99:.1f} ms"


@dataclass(frozen=True)
class Latency:
    """``ratio`` of the medians; ``paired``: the median of the ratios of neighbours in time, for a busy machine."""

    push: Percentiles
    single_frame: Percentiles
    paired: float

    @property
    def ratio(self) -> float:
        return self.push.p50 / self.single_frame.p50


@torch.no_grad()
def single_frame(model: Planner, frames: StreamFrames) -> torch.Tensor:
    """The same weights without fusion, clock and checks: what a push is measured against. (S, P, 3)."""
    camera = unit_range(frames.camera.to(model.device), 255, model.dtype, "camera")
    lidar = unit_range(frames.lidar.to(model.device), model.config.lidar_max, model.dtype, "lidar")
    return model.select(model.encode(camera, lidar), frames.status.to(model.device))["trajectory"]


def timed(job: Callable[[], Result], device: torch.device) -> tuple[float, Result]:
    """Wall time in seconds, with the work of a GPU finished, and what came of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    result = job()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start, result


def latency(planner: StreamingPlanner, frames: Sequence[StreamFrames], warmup: int) -> Latency:
    """Push ``frames`` one after the other, each beside a single-frame pass on the same frame, in alternating order; the
    first ``warmup`` do not count. The planner remembers them afterwards."""
    if len(frames) <= warmup:
        raise UserError(f"{len(frames)} frames with {warmup} for warming up leave none to measure: give more frames")
    taken: dict[str, list[float]] = {"push": [], "single": []}
    for i, frame in enumerate(frames):
        jobs: dict[str, Callable[[], object]] = {
            "push": partial(planner.push, frame),
            "single": partial(single_frame, planner.model, frame),
        }
        for name in ("push", "single") if i % 2 else ("single", "push"):
            seconds, _ = timed(jobs[name], planner.device)
            if i >= warmup:
                taken[name].append(seconds)
    paired = float(np.median(np.divide(taken["push"], taken["single"])))
    return Latency(Percentiles.of(taken["push"]), Percentiles.of(taken["single"]), paired)
