"""Windows as small arrays. Pixels are read when a batch is collated, so that shared frames are read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from wotempo.data.bev_cache import BevCache
from wotempo.data.frame_cache import FrameCache
from wotempo.data.stack_cache import StackCache
from wotempo.data.store import Ref
from wotempo.data.target_cache import TargetCache
from wotempo.data.window import MISSING, MOTION, all_places, window_motion
from wotempo.features import status_features
from wotempo.navsim.index.columns import columns_of
from wotempo.navsim.scenes import by_log
from wotempo.navsim.schema import Log, Scene
from wotempo.navsim.scores import ScoreTable
from wotempo.targets import TargetSpec, agent_motion, sampled_anchors


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
        no_imitation: frozenset[str] = frozenset(),
    ) -> None:
        """``with_motion``: items carry the agents' true velocities, for the oracle control.

        ``anchors`` (N, 8, 3): with ``targets`` the last poses of some are painted into the future map.

        ``no_imitation``: tokens of the scenes whose trajectory is not to be imitated.

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

        logs = list(by_log(scenes))
        self.log_index = np.concatenate([np.zeros(0, np.int64), *(current for _, _, current in logs)])
        places = all_places(scenes, num_frames, frame_stride)
        records = self._number(logs, places, frames, mask_missing)
        self.frame_reader = frames.reader(records)
        self.bev_reader = None if bev is None else bev.reader(records)
        self.tokens = self.frame_tokens[self.frame[:, -1]]
        shown = np.where(self.valid, places, MISSING)
        self.window_motion = np.zeros(places.shape, MOTION)
        self.status = np.zeros((len(scenes), 8), np.float32)
        for log, of_log, current in logs:
            self.window_motion[of_log] = window_motion(log, shown[of_log])
            self.status[of_log] = status_features(log, current)
        names = np.array([f"{log.split}/{log.name}" for log, _, _ in logs], dtype=str)
        counts = [len(current) for _, _, current in logs]
        self.log = np.repeat(np.unique(names, return_inverse=True)[1], counts).astype(np.int32)
        self.stack_reader = None if stacks is None else stacks.reader(scenes)
        spec = self.target_spec or TargetSpec()
        self.agent_motion = [agent_motion(scene.current, spec) for scene in scenes] if with_motion else None
        self.imitation = np.array([str(token) not in no_imitation for token in self.tokens], bool)
        self.target_reader = None if targets is None else targets.reader(scenes)

    def _number(
        self, logs: list[tuple[Log, slice, np.ndarray]], places: np.ndarray, frames: FrameCache, mask_missing: bool
    ) -> list[Ref]:
        """Number the distinct frames, in the order in which they are met, and return their records: ``frame`` (n, T)
        int64 are the numbers, MISSING where a frame is absent. ``mask_missing``: so are history frames that are not
        cached."""
        longest = 1 + int(places.max(initial=0))
        numbers: dict[int, int] = {}
        of_log = np.zeros((len(places), 1), np.int64)
        for log, members, _ in logs:
            of_log[members] = numbers.setdefault(id(log), len(numbers))
        held = {numbers[id(log)]: log for log, _, _ in logs}
        keys = np.where(places == MISSING, MISSING, of_log * longest + places)
        distinct, met, inverse = np.unique(keys, return_index=True, return_inverse=True)
        order = np.argsort(met)
        order = order[distinct[order] != MISSING]
        tokens = {number: columns_of(log).rows["token"] for number, log in held.items()}
        where = [divmod(key, longest) for key in distinct[order].tolist()]
        groups = {number: f"{log.split}/{log.name}" for number, log in held.items()}
        records = [Ref(groups[number], tokens[number][place].decode()) for number, place in where]
        if mask_missing:
            needed = np.isin(distinct[order], keys[:, -1])
            kept = frames.has(records) | needed
            order, records = order[kept], [record for record, keep in zip(records, kept, strict=True) if keep]
        number_of = np.full(len(distinct), MISSING)
        number_of[order] = np.arange(len(order))
        self.frame = number_of[inverse].reshape(places.shape)
        self.valid = self.frame != MISSING
        self.frame_tokens = np.array([record.token for record in records], dtype=str)
        return records

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
            item["imitation"] = self.imitation[index]
        if self.anchors is not None and self.target_spec is not None:
            count = self.target_spec.num_sampled
            item["sampled_anchor"] = sampled_anchors(token, epoch, len(self.anchors), count, self.seed)
        if self.labels is not None:
            item["sim_reward"] = self.labels.scores(token)
        return item
