"""Windows as small arrays. Pixels are read when a batch is collated, so that shared frames are read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from wotempo.data.bev_cache import BevCache
from wotempo.data.frame_cache import FrameCache, FrameRef
from wotempo.data.stack_cache import StackCache
from wotempo.data.target_cache import TargetCache
from wotempo.data.window import window_frames, window_motion
from wotempo.features import status_feature
from wotempo.navsim.schema import Scene
from wotempo.navsim.scores import ScoreTable
from wotempo.targets import TargetSpec, agent_motion, sampled_anchors

MISSING = -1  # frame position of a frame that a window lacks


class WindowDataset(Dataset):
    """One item per scene. Holds arrays only (no scenes, no logs), so copies for worker processes are cheap.

    Targets, labels and anchors belong together: with ``targets=None`` the items carry inputs only.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        frames: FrameCache,
        targets: TargetCache | None = None,
        labels: ScoreTable | None = None,
        anchors: np.ndarray | None = None,
        num_frames: int = 1,
        frame_stride: int = 1,
        mask_missing: bool = False,
        seed: int = 0,
        stacks: StackCache | None = None,
        bev: BevCache | None = None,
        with_motion: bool = False,
    ) -> None:
        """``with_motion``: items carry the agents' true velocities, for the oracle control.

        ``anchors`` (N, 8, 3): with ``targets`` the last poses of some are painted into the future map.

        ``mask_missing``: a history frame whose features are not cached counts as missing; otherwise it is a UserError.
        ``bev``: batches carry the maps of a frozen encoder in place of images.
        ``stacks``, of the same windows: items carry their LiDAR history in the axes of the current frame, too.
        """
        if (targets is None and anchors is not None) or (anchors is None and labels is not None):
            raise ValueError("anchors need targets, and labels need anchors")
        self.num_frames, self.frame_stride = num_frames, frame_stride
        self.labels, self.anchors, self.seed = labels, anchors, seed
        self.feature_spec = frames.spec
        self.target_spec = None if targets is None else targets.spec
        self.num_anchors = 0 if anchors is None else len(anchors)
        self.num_sampled = 0 if targets is None or anchors is None else targets.spec.num_sampled

        self.tokens = np.array([scene.token for scene in scenes], dtype=str)
        windows = [window_frames(scene, num_frames, frame_stride) for scene in scenes]
        refs = self._place(scenes, windows, frames, mask_missing)
        self.bev_reader = None if bev is None else bev.reader(refs)
        self._measure(windows)
        self.status = np.array([status_feature(scene.current) for scene in scenes]).reshape(-1, 8)
        self.log = np.unique([f"{s.log.split}/{s.log.name}" for s in scenes], return_inverse=True)[1].astype(np.int32)
        self.log_index = np.array([scene.index for scene in scenes], np.int64)
        self.stack_reader = None if stacks is None else stacks.reader(scenes)
        spec = TargetSpec() if targets is None else targets.spec
        self.motion = [agent_motion(scene.current, spec) for scene in scenes] if with_motion else None
        self.target_reader = None if targets is None else targets.reader(scenes)

    def _place(self, scenes: Sequence[Scene], windows: list, frames: FrameCache, mask_missing: bool) -> list[FrameRef]:
        """Number the unique frames, which are returned: ``frame`` (n, T) int64 into ``frame_reader``, MISSING where
        absent."""
        refs: dict[tuple[str, str], FrameRef] = {}
        for scene, window in zip(scenes, windows, strict=True):
            for frame in window:
                if frame is not None:
                    ref = FrameRef(scene.log.split, frame)
                    refs.setdefault(ref.record, ref)
        unique = list(refs.values())
        if mask_missing:
            present = frames.has(unique)
            current = {(f"{s.log.split}/{s.log.name}", s.token) for s in scenes}
            unique = [ref for ref, here in zip(unique, present, strict=True) if here or ref.record in current]
        number = {ref.record: i for i, ref in enumerate(unique)}
        self.frame_reader = frames.reader(unique)
        self.frame_tokens = np.array([ref.frame.token for ref in unique], dtype=str)
        self.frame = np.full((len(windows), self.num_frames), MISSING, np.int64)
        for row, (scene, window) in enumerate(zip(scenes, windows, strict=True)):
            for column, frame in enumerate(window):
                if frame is not None:
                    self.frame[row, column] = number.get(FrameRef(scene.log.split, frame).record, MISSING)
        self.valid = self.frame != MISSING
        return unique

    def _measure(self, windows: list) -> None:
        shape = self.valid.shape
        self.pose = np.zeros((*shape, 3), np.float32)
        self.dt = np.zeros(shape, np.float32)
        self.timestamp_us = np.zeros(shape, np.int64)
        self.speed = np.zeros(shape, np.float32)
        for row, window in enumerate(windows):
            known = [frame if ok else None for frame, ok in zip(window, self.valid[row], strict=True)]
            motion = window_motion(known)
            self.pose[row], self.dt[row] = motion.pose, motion.dt
            self.timestamp_us[row], self.speed[row] = motion.timestamp_us, motion.speed

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        """``key`` is a position or (position, epoch); the epoch decides which anchor's future is shown."""
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        token = str(self.tokens[index])
        item: dict[str, Any] = {
            "token": token,
            "frame": self.frame[index],
            "valid": self.valid[index],
            "pose": self.pose[index],
            "dt": self.dt[index],
            "timestamp_us": self.timestamp_us[index],
            "speed": self.speed[index],
            "status": self.status[index],
        }
        if self.stack_reader is not None:
            item["lidar_stack"] = self.stack_reader.read(index)
        if self.motion is not None:
            item["agent_motion"] = self.motion[index]
        if self.target_reader is not None:
            item["target"] = self.target_reader.read(index)
        if self.num_sampled:
            item["sampled_anchor"] = sampled_anchors(token, epoch, self.num_anchors, self.num_sampled, self.seed)
        if self.labels is not None:
            item["sim_reward"] = self.labels.scores(token)
        return item
