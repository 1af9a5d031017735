"""A batch of fake tensors, built from what ``Batch`` says of its fields: of any planner, at any size."""

from __future__ import annotations

from typing import Any, cast, get_type_hints

import numpy as np
import torch

from wotempo.batch import Batch, Field
from wotempo.planners.base import Planner

SAMPLED = 1
"""Anchors of a sample whose future is shown (``TargetSpec.num_sampled``)."""


def window_rows(samples: int, run_length: int, frames: int, stride: int = 1) -> np.ndarray:
    """(samples, frames) int64: which frame stands at each place, in a batch of whole runs of ``run_length``
    neighbouring windows, which share what they have in common. A run of one window shares nothing."""
    sample = np.arange(samples)
    apart = run_length + frames * stride  # between the first frames of two runs
    first = sample // run_length * apart + sample % run_length
    _, rows = np.unique(first[:, None] + stride * np.arange(frames), return_inverse=True)
    return rows.reshape(samples, frames).astype(np.int64)


def fake_batch(planner: Planner, samples: int, run_length: int, device: str) -> Batch:
    """The batch that a training step of ``planner`` is given, on ``device``. Inside ``fake_tensors``."""
    c, needs = planner.config, planner.needs
    rows = window_rows(samples, run_length, needs.frames, needs.stride)
    length = {"B": samples, "T": needs.frames, "F": int(rows.max()) + 1, "N": c.num_anchors, "S": SAMPLED}
    length |= {"H": c.image_height, "W": c.image_width, "R": c.lidar_shape[0], "C": c.lidar_shape[1]}
    length |= {"P": c.map_shape[0], "Q": c.map_shape[1], "D": c.bev_channels, "U": c.bev_shape[0], "V": c.bev_shape[1]}
    images = "frozen maps" if c.frozen_backbone else "images"
    asked = {"lidar_stack": needs.stacks, "motion": needs.motion, "futures": needs.futures}
    asked |= {"anchors": needs.anchors, "labels": needs.labels}
    conditions = {"always", images, "targets", *(name for name, wanted in asked.items() if wanted)}
    batch: dict[str, Any] = {"tokens": [""] * samples, "frame_rows": rows.tolist()}
    for name, hint in get_type_hints(Batch, include_extras=True).items():
        field = next(part for part in hint.__metadata__ if isinstance(part, Field))
        *dims, kind = field.layout.split()
        if field.when in conditions and kind not in ("names", "numbers"):
            shape = [int(dim) if dim.isdigit() else length[dim] for dim in dims]
            batch[name] = torch.empty(shape, dtype=getattr(torch, kind), device=device)
    return cast(Batch, batch)
