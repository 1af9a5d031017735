"""Windows as small arrays. Pixels are read when a batch is collated, so that shared frames are read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from wotempo.data.bev_cache import BevCache
from wotempo.data.frame_cache import FrameCache, FrameRef, window_refs
from wotempo.data.stack_cache import StackCache
from wotempo.data.store import Ref
from wotempo.data.target_cache import TargetCache, scene_ref
from wotempo.data.window import MOTION, window_motion
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

        self.tokens = np.array([scene.token for scene in scenes], dtype=str)
        windows = [window_refs(scene, num_frames, frame_stride) for scene in scenes]
        current = {scene_ref(scene) for scene in scenes} if mask_missing else None
        refs = self._place(windows, frames, current)
        self.bev_reader = None if bev is None else bev.reader(refs)
        self.window_motion = np.zeros(self.valid.shape, MOTION)
        for row, window in enumerate(windows):
            known = [
                ref.frame if ref is not None and ok else None for ref, ok in zip(window, self.valid[row], strict=True)
            ]
            self.window_motion[row] = window_motion(known)
        self.status = np.array([status_feature(scene.current) for scene in scenes]).reshape(-1, 8)
        self.log = np.unique([f"{s.log.split}/{s.log.name}" for s in scenes], return_inverse=True)[1].astype(np.int32)
        self.log_index = np.array([scene.index for scene in scenes], np.int64)
        self.stack_reader = None if stacks is None else stacks.reader(scenes)
        spec = self.target_spec or TargetSpec()
        self.agent_motion = [agent_motion(scene.current, spec) for scene in scenes] if with_motion else None
        self.target_reader = None if targets is None else targets.reader(scenes)

    def _place(
        self, windows: list[list[FrameRef | None]], frames: FrameCache, current: set[Ref] | None
    ) -> list[FrameRef]:
        """Number the unique frames, which are returned: ``frame`` (n, T) int64 into ``frame_reader``, MISSING where
        absent. ``current``: the frames that are needed where those that are not cached count as missing."""
        unique = list({ref.record: ref for window in windows for ref in window if ref is not None}.values())
        if current is not None:
            present = frames.has(unique)
            unique = [ref for ref, here in zip(unique, present, strict=True) if here or ref.record in current]
        number = {ref.record: i for i, ref in enumerate(unique)}
        self.frame_reader = frames.reader(unique)
        self.frame_tokens = np.array([ref.frame.token for ref in unique], dtype=str)
        places = [[MISSING if ref is None else number.get(ref.record, MISSING) for ref in window] for window in windows]
        self.frame = np.array(places, np.int64).reshape(len(windows), self.num_frames)
        self.valid = self.frame != MISSING
        return unique

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
            **{name: self.window_motion[name][index] for name in MOTION.names or ()},
            "status": self.status[index],
        }
        if self.stack_reader is not None:
            item["lidar_stack"] = self.stack_reader.read(index)
        if self.agent_motion is not None:
            item["agent_motion"] = self.agent_motion[index]
        if self.target_reader is not None:
            item["target"] = self.target_reader.read(index)
        if self.anchors is not None and self.target_spec is not None:
            count = self.target_spec.num_sampled
            item["sampled_anchor"] = sampled_anchors(token, epoch, len(self.anchors), count, self.seed)
        if self.labels is not None:
            item["sim_reward"] = self.labels.scores(token)
        return item
