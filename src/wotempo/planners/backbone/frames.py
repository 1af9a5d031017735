"""The unique frames of a batch: those that are encoded, and their arrangement in windows."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from wotempo.batch import Batch

FRAME_KEYS = ("camera", "lidar", "bev")  # bev: maps of a frozen encoder, in place of the images
WINDOW_KEYS = ("frame_index", "valid", "pose", "dt")


def host_rows(batch: Batch) -> np.ndarray:
    """Which frame stands at each place of the windows, -1 where one is missing: (B, T) int64, on the host. A batch that
    does not say it there (``frame_rows``) is asked on its device, which makes the host wait."""
    if "frame_rows" in batch:
        return np.array(batch["frame_rows"], np.int64)
    index, valid = batch["frame_index"].cpu().numpy(), batch["valid"].cpu().numpy()
    return np.concatenate((np.where(valid, index, -1)[:, :-1], index[:, -1:]), 1)


def on_device(numbers: np.ndarray, device: torch.device) -> Tensor:
    """The numbers as a tensor there; the host does not wait for the device."""
    return torch.tensor(numbers).to(device, non_blocking=True)


def used_frames(batch: Batch, num_frames: int) -> Batch:
    """The batch reduced to the last ``num_frames`` of every window and the frames they show.

    Missing frames point at their window's current one: masked later, and never encoded for their own sake.
    """
    fields: dict[str, Any] = {**batch}
    view = {**fields, **{key: fields[key][:, -num_frames:] for key in WINDOW_KEYS}}
    if view["valid"].shape[1] < num_frames:
        raise ValueError(f"the fusion stage sees {num_frames} frames, the batch holds {view['valid'].shape[1]}")
    rows, device = host_rows(batch)[:, -num_frames:], view["frame_index"].device
    used = np.unique(np.where(rows < 0, rows[:, -1:], rows))
    view["frame_index"] = view["frame_index"].where(view["valid"], view["frame_index"][:, -1:])
    if len(used) < len(batch["lidar"]):
        kept = on_device(used, device)
        view |= {key: fields[key][kept] for key in FRAME_KEYS if key in batch}
        view["frame_index"] = _places(used, len(batch["lidar"]), device)[view["frame_index"]]
    view["frame_rows"] = np.where(rows < 0, -1, np.searchsorted(used, rows)).tolist()
    return cast(Batch, view)


def _places(used: np.ndarray, count: int, device: torch.device) -> Tensor:
    """(count,) int64: where in ``used``, ascending, each of so many frames is; 0 where it is not."""
    places = np.zeros(count, np.int64)
    places[used] = np.arange(len(used))
    return on_device(places, device)


def lidar_history(view: Batch) -> Batch:
    """The view of ``used_frames`` with frames of two kinds: first the current ones, which ``camera`` shows, then those
    that are some window's history, by LiDAR alone. A frame that is both is there twice: which of the two a window gets
    must not depend on the windows beside it.

    camera (K, 3, H, W), lidar (E, 1, R, C) with the K current frames first, frame_index (B, T) into the E.
    """
    index, rows, count, device = view["frame_index"], host_rows(view), len(view["lidar"]), view["lidar"].device
    past_rows, seen = rows[:, :-1], view["valid"][:, :-1]
    current, past = np.unique(rows[:, -1:]), np.unique(past_rows[past_rows >= 0])
    k = len(current)
    now, before = _places(current, count, device)[index[:, -1:]], k + _places(past, count, device)[index[:, :-1]]
    rows_before = np.where(past_rows < 0, -1, k + np.searchsorted(past, past_rows))
    return {
        **view,
        "camera": view["camera"][on_device(current, device)],
        "lidar": view["lidar"][on_device(np.concatenate((current, past)), device)],
        "frame_index": torch.cat((before.where(seen, now), now), 1),
        "frame_rows": np.concatenate((rows_before, np.searchsorted(current, rows[:, -1:])), 1).tolist(),
    }


def gather_windows(bev: Tensor, frame_index: Tensor, valid: Tensor) -> Tensor:
    """bev (F, C, H, W), frame_index and valid (B, T) -> (B, T, C, H, W), zero where invalid."""
    return bev[frame_index].masked_fill(~valid[..., None, None, None], 0.0)


def unit_range(raw: Tensor, full: int, dtype: torch.dtype, name: str) -> Tensor:
    """uint8 -> [0, 1]. On the device: a quarter of the bytes to move."""
    if raw.dtype != torch.uint8:
        raise TypeError(f"batch['{name}'] is {raw.dtype}, but frames travel as uint8")
    return raw.to(dtype) / full


def learning_frames(rows: np.ndarray, history: int, count: int) -> np.ndarray:
    """Which of ``count`` frames pass gradient to the encoder, (count,) bool: those that some window of rows (B, T), -1
    where a frame is missing, has as its current one or among the ``history`` frames before it."""
    last = rows[:, -1 - history :]
    learns = np.zeros(count, bool)
    learns[last[last >= 0]] = True
    return learns
