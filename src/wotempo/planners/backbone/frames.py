"""The unique frames of a batch: those that are encoded, and their arrangement in windows."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from wotempo.batch import Batch

FRAME_KEYS = ("camera", "lidar", "bev")  # bev: maps of a frozen encoder, in place of the images
WINDOW_KEYS = ("frame_index", "valid", "pose", "dt")


def used_frames(batch: Batch, num_frames: int) -> Batch:
    """The batch reduced to the last ``num_frames`` of every window and the frames they show.

    Missing frames point at their window's current one: masked later, and never encoded for their own sake.
    """
    fields: dict[str, Any] = {**batch}
    view = {**fields, **{key: fields[key][:, -num_frames:] for key in WINDOW_KEYS}}
    if view["valid"].shape[1] < num_frames:
        raise ValueError(f"the fusion stage sees {num_frames} frames, the batch holds {view['valid'].shape[1]}")
    index = view["frame_index"].where(view["valid"], view["frame_index"][:, -1:])
    used, local = torch.unique(index, return_inverse=True)
    view["frame_index"] = local
    if len(used) < len(batch["lidar"]):
        view |= {key: fields[key][used] for key in FRAME_KEYS if key in batch}
    return cast(Batch, view)


def lidar_history(view: Batch) -> Batch:
    """The view of ``used_frames`` with frames of two kinds: first the current ones, which ``camera`` shows, then those
    that are some window's history, by LiDAR alone. A frame that is both is there twice: which of the two a window gets
    must not depend on the windows beside it.

    camera (K, 3, H, W), lidar (E, 1, R, C) with the K current frames first, frame_index (B, T) into the E.
    """
    index, valid = view["frame_index"], view["valid"]
    current, now = torch.unique(index[:, -1:], return_inverse=True)
    seen = valid[:, :-1]
    past = torch.unique(index[:, :-1][seen])
    before = len(current) + torch.searchsorted(past, index[:, :-1].contiguous())
    return {
        **view,
        "camera": view["camera"][current],
        "lidar": view["lidar"][torch.cat((current, past))],
        "frame_index": torch.cat((before.where(seen, now), now), 1),
    }


def gather_windows(bev: Tensor, frame_index: Tensor, valid: Tensor) -> Tensor:
    """bev (F, C, H, W), frame_index and valid (B, T) -> (B, T, C, H, W), zero where invalid."""
    return bev[frame_index].masked_fill(~valid[..., None, None, None], 0.0)


def unit_range(raw: Tensor, full: int, dtype: torch.dtype, name: str) -> Tensor:
    """uint8 -> [0, 1]. On the device: a quarter of the bytes to move."""
    if raw.dtype != torch.uint8:
        raise TypeError(f"batch['{name}'] is {raw.dtype}, but frames travel as uint8")
    return raw.to(dtype) / full


def learning_frames(frame_index: Tensor, valid: Tensor, history: int, count: int) -> Tensor:
    """Which of ``count`` frames pass gradient to the encoder, (count,) bool: those that some window of frame_index and
    valid (B, T) has as its current one or among the ``history`` frames before it."""
    learns = torch.zeros(count, dtype=torch.bool, device=frame_index.device)
    last, is_there = frame_index[:, -1 - history :], valid[:, -1 - history :]
    learns[last[is_there]] = True
    return learns
