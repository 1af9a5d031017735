"""Items -> batch: the unique frames of the batch once, and for every window where to find its own.

The batch is a plain dict; F unique frames, B windows of T frames, S sampled anchors, N anchors:

    camera (F,3,H,W) uint8 · lidar (F,1,R,C) uint8 · frame_index (B,T) int64 into F · valid (B,T) bool
    pose (B,T,3) · dt (B,T) · timestamp_us (B,T) int64 · speed (B,T) · status (B,8)
    tokens list[str] · frame_tokens list[list[str | None]]
    with a frozen encoder: bev (F,C,rows,cols) float32, and no camera
    with stacks:  lidar_stack (B,T,1,R,C) uint8, each frame's points counted in the axes of the current frame, and
                  lidar_stack_pose (B,T,3), the poses that they were moved by
    with targets: trajectory (B,8,3) · agent_states (B,30,5) · agent_labels (B,30) bool · bev_map (B,128,256) uint8
                  sampled_anchor (B,S) int64 · future_map (B,S,128,256) uint8
    with labels:  sim_reward (B,5,N) · with motion: agent_motion (B,64,5) x, y, v_x, v_y, present

Floats are float32. A missing frame points at its window's current frame, is not valid, and has zeros elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from wotempo.data.dataset import MISSING, WindowDataset
from wotempo.errors import UserError
from wotempo.targets import paint_ego

_WINDOW_FIELDS = ("valid", "pose", "dt", "timestamp_us", "speed", "status")
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

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        frame = np.stack([item["frame"] for item in items])  # (B, T)
        filled = np.where(frame == MISSING, frame[:, -1:], frame)
        unique, frame_index = np.unique(filled, return_inverse=True)
        batch: dict[str, Any] = self._pixels(unique)
        batch["frame_index"] = torch.from_numpy(frame_index.reshape(frame.shape).astype(np.int64))
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
        if "sim_reward" in items[0]:
            batch["sim_reward"] = _stack([item["sim_reward"] for item in items])
        return batch

    def _pixels(self, unique: np.ndarray) -> dict[str, torch.Tensor]:
        frames = [self.reader.read(position) for position in unique]
        if self.bev_reader is None:
            return {name: _stack([frame[name] for frame in frames]) for name in ("camera", "lidar")}
        maps = [self.bev_reader.read(position)["bev"] for position in unique]
        return {"bev": _stack(maps), "lidar": _stack([frame["lidar"] for frame in frames])}

    def _targets(self, items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        assert self.anchors is not None
        assert self.target_spec is not None
        fields = {name: _stack([item["target"][name] for item in items]) for name in _TARGET_FIELDS}
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
                "delete the cache and set data.missing_history=mask"
            )
    past = _stack([item["lidar_stack"]["lidar"] for item in items])
    past = past * batch["valid"][:, :-1, None, None, None]
    current = batch["lidar"][batch["frame_index"][:, -1:]]
    return {"lidar_stack": torch.cat((past, current), 1), "lidar_stack_pose": batch["pose"].clone()}


def _stack(arrays: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays))
