"""Items -> ``Batch``: the unique frames of the batch once, and for every window where to find its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch

from wotempo.batch import Batch
from wotempo.data.dataset import MISSING, WindowDataset
from wotempo.data.window import MOTION
from wotempo.errors import UserError
from wotempo.targets import paint_ego

_WINDOW_FIELDS = ("valid", *(MOTION.names or ()), "status")
_TARGET_FIELDS = ("trajectory", "agent_states", "agent_labels", "bev_map")


class WindowCollator:
    """``collate_fn`` of a ``WindowDataset``; reads the frames, in whichever process collates. ``images``: also where
    the dataset has the maps of a frozen encoder, which are taken in their place else."""

    def __init__(self, dataset: WindowDataset, images: bool = False) -> None:
        self.reader = dataset.frame_reader
        self.bev_reader = None if images else dataset.bev_reader
        self.frame_tokens = dataset.frame_tokens
        self.anchors = dataset.anchors
        self.target_spec = dataset.target_spec

    def __call__(self, items: Sequence[dict[str, Any]]) -> Batch:
        frame = np.stack([item["frame"] for item in items])  # (B, T)
        filled = np.where(frame == MISSING, frame[:, -1:], frame)
        unique, frame_index = np.unique(filled, return_inverse=True)
        batch: dict[str, Any] = self._pixels(unique)
        rows = frame_index.reshape(frame.shape).astype(np.int64)
        batch["frame_index"] = torch.from_numpy(rows)
        batch["frame_rows"] = np.where(frame == MISSING, MISSING, rows).tolist()
        for name in _WINDOW_FIELDS:
            batch[name] = _stack([item[name] for item in items])
        batch["tokens"] = [item["token"] for item in items]
        batch["frame_tokens"] = [
            [None if i == MISSING else str(self.frame_tokens[i]) for i in window] for window in frame
        ]
        if "lidar_stack" in items[0]:
            batch |= _stacks(items, batch)
        if "agent_motion" in items[0]:
            batch["agent_motion"] = _stack([item["agent_motion"] for item in items])
        if "target" in items[0]:
            batch |= self._targets(items)
            batch["imitation"] = _stack([item["imitation"] for item in items])
        if "sim_reward" in items[0]:
            batch["sim_reward"] = _stack([item["sim_reward"] for item in items])
        return cast(Batch, batch)

    def _pixels(self, unique: np.ndarray) -> dict[str, torch.Tensor]:
        frames = [self.reader.read(position) for position in unique]
        if self.bev_reader is None:
            return {name: _stack([frame[name] for frame in frames]) for name in ("camera", "lidar")}
        maps = [self.bev_reader.read(position)["bev"] for position in unique]
        return {"bev": _stack(maps), "lidar": _stack([frame["lidar"] for frame in frames])}

    def _targets(self, items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        names = (*_TARGET_FIELDS, *(("agent_future",) if self.target_spec and self.target_spec.futures else ()))
        fields = {name: _stack([item["target"][name] for item in items]) for name in names}
        if self.anchors is None:
            return fields
        assert self.target_spec is not None
        last = self.anchors[:, self.target_spec.future_index - 1]  # (N, 3)
        futures = [
            paint_ego(item["target"]["future_base_map"], last[item["sampled_anchor"]], self.target_spec)
            for item in items
        ]
        fields["sampled_anchor"] = _stack([item["sampled_anchor"] for item in items])
        fields["future_map"] = _stack(futures)
        return fields


def _stacks(items: Sequence[dict[str, Any]], batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    for item in items:
        if (item["valid"][:-1] & ~item["lidar_stack"]["shown"]).any():
            raise UserError(
                f"scene {item['token']}: the frame cache holds history whose LiDAR file is gone: put it back, or "
                "delete the cache and set data.missing=mask"
            )
    past = _stack([item["lidar_stack"]["lidar"] for item in items])
    past = past * batch["valid"][:, :-1, None, None, None]
    current = batch["lidar"][batch["frame_index"][:, -1:]]
    return {"lidar_stack": torch.cat((past, current), 1), "lidar_stack_pose": batch["pose"].clone()}


def _stack(arrays: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays))
