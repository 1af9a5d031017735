"""Replay of whole logs, frame by frame, through a StreamingPlanner, as a car would run it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from wotempo.data import FrameCache, FrameRef
from wotempo.features import status_feature
from wotempo.navsim import Log, Scene
from wotempo.streaming.frames import StreamFrames
from wotempo.streaming.latency import timed
from wotempo.streaming.planner import StreamingPlanner


def stretches(scenes: Sequence[Scene], history: int) -> list[tuple[Log, list[FrameRef]]]:
    """Per log every frame from the first that a window of ``history`` frames of its scenes holds to the last."""
    by_log: dict[tuple[str, str], list[Scene]] = {}
    for scene in scenes:
        by_log.setdefault((scene.log.split, scene.log.name), []).append(scene)
    found = []
    for members in by_log.values():
        log = members[0].log
        indices = [scene.index for scene in members]
        frames = log.frames[max(0, min(indices) - history + 1) : max(indices) + 1]
        found.append((log, [FrameRef(log.split, frame) for frame in frames]))
    return found


def stream_frames(refs: Sequence[FrameRef], cache: FrameCache) -> Iterator[StreamFrames]:
    """One stream. A frame that is not cached is a dropped frame."""
    present = cache.has(refs)
    reader = cache.reader([ref for ref, here in zip(refs, present, strict=True) if here])
    position = np.cumsum(present) - 1
    for i, ref in enumerate(refs):
        record = reader.read(int(position[i])) if present[i] else np.zeros((), cache.store.dtype)
        yield StreamFrames(
            camera=torch.tensor(record["camera"])[None],
            lidar=torch.tensor(record["lidar"])[None],
            pose=torch.tensor(ref.frame.pose, dtype=torch.float64)[None],
            timestamp_us=torch.tensor([ref.frame.timestamp_us]),
            status=torch.tensor(status_feature(ref.frame))[None],
            present=torch.tensor([bool(present[i])]),
        )


def replay(planner: StreamingPlanner, refs: Sequence[FrameRef], cache: FrameCache) -> list[dict[str, Any]]:
    """One log as one new stream -> a row per frame: token, timestamp_us, planned, reset, milliseconds of the push, and
    x, y (m), heading of the plan (NaN where there is none)."""
    planner.reset()
    rows = []
    for ref, frames in zip(refs, stream_frames(refs, cache), strict=True):
        seconds, plans = timed(partial(planner.push, frames), planner.device)
        plan = plans.trajectory[0].cpu().numpy().T
        rows.append(
            {
                "log": ref.frame.log_name,
                "token": ref.frame.token,
                "timestamp_us": ref.frame.timestamp_us,
                "planned": bool(plans.planned[0]),
                "reset": plans.resets[0],
                "milliseconds": 1e3 * seconds,
                **dict(zip(("x", "y", "heading"), plan.tolist(), strict=True)),
            }
        )
    return rows


def plans_of_rows(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """token -> (8, 3) of the frames that were planned."""
    planned = rows[rows["planned"]]
    return {row.token: np.stack((row.x, row.y, row.heading), -1) for row in planned.itertuples()}
