"""Features of frames, computed once per frame and shared by every window that holds it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wotempo.data.build import BuildReport, Progress, Task, build_records
from wotempo.data.reader import RecordReader
from wotempo.data.store import RecordStore, Ref
from wotempo.errors import UserError
from wotempo.features import FeatureSpec, camera_feature, check_image, lidar_feature
from wotempo.navsim.images import read_image
from wotempo.navsim.pcd import read_pcd
from wotempo.navsim.schema import STITCHED_CAMERAS, DataPaths, Frame


class FrameRef(NamedTuple):
    """A frame and the split directory its files lie in."""

    split: str
    frame: Frame

    @property
    def record(self) -> Ref:
        return Ref(f"{self.split}/{self.frame.log_name}", self.frame.token)


@dataclass(frozen=True)
class FrameSource:
    images: dict[str, Path]
    cloud: Path
    spec: FeatureSpec


def frame_dtype(spec: FeatureSpec) -> np.dtype:
    """Camera channel-first, as the network takes it."""
    return np.dtype(
        [("camera", "u1", (3, spec.image_height, spec.image_width)), ("lidar", "u1", (1, *spec.lidar_grid.shape))]
    )


def compute_frame(source: FrameSource) -> np.ndarray:
    """Read the sensors of one frame -> a record of ``frame_dtype``. UserError names a file that cannot be read."""
    record = np.empty((), frame_dtype(source.spec))
    images = {}
    for name, path in source.images.items():
        images[name] = read_image(path)
        check_image(images[name], str(path))
    record["camera"] = camera_feature(images, source.spec).transpose(2, 0, 1)
    record["lidar"] = lidar_feature(read_pcd(source.cloud), source.spec)
    return record


class FrameCache:
    """Cached ``FeatureSpec`` features below ``root``, made from the sensor files of ``paths``."""

    def __init__(self, root: Path, paths: DataPaths, spec: FeatureSpec) -> None:
        self.paths = paths
        self.spec = spec
        self.store = RecordStore(root, "frames", spec.content_hash, frame_dtype(spec))

    def _files(self, ref: FrameRef) -> list[str]:
        """Relative paths of the three images and the cloud; UserError when the log names none."""
        cameras = ref.frame.cameras
        absent = [name for name in STITCHED_CAMERAS if name not in cameras]
        if absent or not ref.frame.lidar_path:
            raise UserError(
                f"frame {ref.frame.token} of log {ref.frame.log_name} names no file for "
                f"{', '.join(absent) or 'the LiDAR'}: the log lacks the sensors WoTE reads"
            )
        return [*(cameras[name].path for name in STITCHED_CAMERAS), ref.frame.lidar_path]

    def _task(self, ref: FrameRef) -> Task | None:
        """None when a sensor file is not there."""
        blobs = self.paths.blob_dir(ref.split)
        files = self._files(ref)
        identity = []
        for name in files:
            try:
                state = (blobs / name).stat()
            except FileNotFoundError:
                return None
            identity.append([name, state.st_size, state.st_mtime_ns])
        key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
        images = dict(zip(STITCHED_CAMERAS, (blobs / name for name in files[:-1]), strict=True))
        group, token = ref.record
        return Task(group, token, key, FrameSource(images, blobs / files[-1], self.spec))

    def build(
        self,
        required: Iterable[FrameRef],
        optional: Iterable[FrameRef] = (),
        workers: int = 1,
        progress: Progress | None = None,
        verify: bool = False,
    ) -> BuildReport:
        """Make the features of all frames present and good; those of ``optional`` whose files are absent are left out.

        A record is re-used when the paths, sizes and modification times of its sensor files and the feature parameters
        are unchanged. Raises UserError, with count and first file, when a required frame has no sensor file.
        """
        tasks: list[Task] = []
        missing: list[FrameRef] = []
        seen: set[Ref] = set()
        for must, refs in ((True, required), (False, optional)):
            for ref in refs:
                if ref.record in seen:
                    continue
                seen.add(ref.record)
                task = self._task(ref)
                if task is not None:
                    tasks.append(task)
                elif must:
                    missing.append(ref)
        if missing:
            first = missing[0]
            blobs = self.paths.blob_dir(first.split)
            absent = next(blobs / name for name in self._files(first) if not (blobs / name).exists())
            raise UserError(
                f"{len(missing)} of {len(seen)} frames lack sensor files, first {absent}: complete the download, "
                "or set missing_history=mask if only history frames are absent"
            )
        return build_records(self.store, tasks, compute_frame, workers, progress, verify)

    def has(self, refs: Sequence[FrameRef]) -> np.ndarray:
        """(n,) bool: which frames are in the cache."""
        groups = {ref.record.group for ref in refs}
        known = {group: self.store.index(group).entries for group in groups}
        return np.array([ref.record.token in known[ref.record.group] for ref in refs], bool)

    def reader(self, refs: Sequence[FrameRef]) -> RecordReader:
        """Records of ``frame_dtype`` by position in ``refs``; UserError with the count where some are not cached."""
        return self.store.reader([ref.record for ref in refs])
