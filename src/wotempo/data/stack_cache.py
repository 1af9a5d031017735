"""LiDAR histories in the axes of their current frame: points are moved first and counted then. Once per scene."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wotempo.data.build import BuildReport, LogWork, Progress, Task, build_logs, build_records
from wotempo.data.identity import file_stamp, key_of
from wotempo.data.reader import RecordReader
from wotempo.data.store import RecordStore
from wotempo.data.target_cache import scene_ref, scenes_by_log
from wotempo.data.window import window_frames
from wotempo.features import FeatureSpec, lidar_feature, moved_points
from wotempo.geometry import relative_to
from wotempo.navsim.pcd import read_pcd
from wotempo.navsim.schema import DataPaths, Scene

NONE_LOST: Mapping[str, Set[str]] = {}


@dataclass(frozen=True)
class StackSource:
    """T-1 clouds, None where the window lacks the frame or the file, and their poses (T-1, 3) in the current frame."""

    clouds: tuple[Path | None, ...]
    poses: np.ndarray
    spec: FeatureSpec


def stack_dtype(spec: FeatureSpec, num_frames: int) -> np.dtype:
    """``shown``: which of the T-1 history frames, oldest first, the histograms are made of."""
    past = num_frames - 1
    return np.dtype([("lidar", "u1", (past, 1, *spec.lidar_grid.shape)), ("shown", "?", (past,))])


def compute_stack(source: StackSource) -> np.ndarray:
    """Read, move and count -> a record of ``stack_dtype``. UserError names a file that cannot be read."""
    record = np.zeros((), stack_dtype(source.spec, len(source.clouds) + 1))
    for i, (cloud, pose) in enumerate(zip(source.clouds, source.poses, strict=True)):
        if cloud is not None:
            record["lidar"][i, 0] = lidar_feature(moved_points(read_pcd(cloud), pose), source.spec)
            record["shown"][i] = True
    return record


class StackCache:
    """Cached stacks below ``root`` for windows of ``num_frames`` frames, every ``frame_stride``-th of the log."""

    def __init__(self, root: Path, paths: DataPaths, spec: FeatureSpec, num_frames: int, frame_stride: int) -> None:
        self.paths, self.spec = paths, spec
        self.num_frames, self.frame_stride = num_frames, frame_stride
        kind = f"{spec.content_hash}-{num_frames}x{frame_stride}"
        self.store = RecordStore(root, "stacks", kind, stack_dtype(spec, num_frames))

    def _task(self, scene: Scene, lost: Set[str]) -> Task:
        blobs = self.paths.blob_dir(scene.log.split)
        *past, now = window_frames(scene, self.num_frames, self.frame_stride)
        assert now is not None
        clouds: list[Path | None] = []
        poses = np.zeros((len(past), 3))
        identity: list = []
        for i, frame in enumerate(past):
            if frame is None or frame.token in lost:
                clouds.append(None)
                continue
            poses[i] = relative_to(now.pose, frame.pose)
            cloud = blobs / frame.lidar_path
            stamp = file_stamp(cloud, frame.lidar_path)  # None: the frame cache refuses or masks it
            identity.append(None if stamp is None else [*stamp, poses[i].tolist()])
            clouds.append(None if stamp is None else cloud)
        group, token = scene_ref(scene)
        return Task(group, token, key_of(identity), StackSource(tuple(clouds), poses, self.spec))

    def build(
        self,
        scenes: Iterable[Scene],
        workers: int = 1,
        progress: Progress | None = None,
        lost: Mapping[str, Set[str]] = NONE_LOST,
    ) -> BuildReport:
        """Make the stacks of all scenes present and good; re-used while clouds, poses and parameters stay. ``lost``:
        split/log -> tokens of frames that cannot be had, and are masked."""
        logs = scenes_by_log(scenes)
        works = (
            LogWork(group, [(s, lost.get(group, frozenset())) for s in members]) for group, members in logs.items()
        )
        return build_logs(self.store, self._build_log, works, sum(map(len, logs.values())), workers, progress)

    def _build_log(self, work: LogWork) -> BuildReport:
        return build_records(self.store, [self._task(*item) for item in work.items], compute_stack)

    def reader(self, scenes: Sequence[Scene]) -> RecordReader:
        """Records of ``stack_dtype`` by position in ``scenes``; UserError with the count where some are not cached."""
        return self.store.reader([scene_ref(scene) for scene in scenes])
