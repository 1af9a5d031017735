"""Features of frames, computed once per frame and shared by every window that holds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wotempo.data.build import BuildReport, Progress, Task, build_records
from wotempo.data.identity import file_stamp, key_of
from wotempo.data.reader import RecordReader
from wotempo.data.store import RecordStore, Ref
from wotempo.data.window import window_frames
from wotempo.errors import UserError
from wotempo.features import FeatureSpec, camera_feature, check_image, lidar_feature
from wotempo.navsim.images import read_image
from wotempo.navsim.pcd import read_pcd
from wotempo.navsim.per_scene import each
from wotempo.navsim.schema import STITCHED_CAMERAS, DataPaths, Frame, Scene


class FrameRef(NamedTuple):
    """A frame and the split directory its files lie in."""

    split: str
    frame: Frame

    @property
    def record(self) -> Ref:
        return Ref(f"{self.split}/{self.frame.log_name}", self.frame.token)


def window_refs(scene: Scene, num_frames: int, frame_stride: int = 1) -> list[FrameRef | None]:
    """The ``window_frames`` of a scene."""
    frames = window_frames(scene, num_frames, frame_stride)
    return [None if frame is None else FrameRef(scene.log.split, frame) for frame in frames]


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
        stamps = [file_stamp(blobs / name, name) for name in files]
        if None in stamps:
            return None
        images = dict(zip(STITCHED_CAMERAS, (blobs / name for name in files[:-1]), strict=True))
        group, token = ref.record
        return Task(group, token, key_of(stamps), FrameSource(images, blobs / files[-1], self.spec))

    def build(
        self,
        required: Iterable[FrameRef],
        optional: Iterable[FrameRef] = (),
        workers: int = 1,
        progress: Progress | None = None,
        skip: bool = False,
    ) -> BuildReport:
        """Make the features of all frames present and good; those of ``optional`` whose files are absent are left out.
        With ``skip`` so is every frame whose files are absent or cannot be read; the report says why.

        A record is re-used when the paths, sizes and modification times of its sensor files and the feature parameters
        are unchanged. Raises UserError, with count and first file, when a required frame has no sensor file.
        """
        must = {ref.record: ref for ref in required}
        wanted = must | {ref.record: ref for ref in optional}
        if skip:
            return self._readable(wanted, workers, progress)
        tasks = {record: self._task(ref) for record, ref in wanted.items()}
        missing = [ref for record, ref in must.items() if tasks[record] is None]
        if missing:
            first = missing[0]
            blobs = self.paths.blob_dir(first.split)
            absent = next(blobs / name for name in self._files(first) if not (blobs / name).exists())
            raise UserError(
                f"{len(missing)} of {len(wanted)} frames lack sensor files, first {absent}: complete the download, "
                "or set missing_history=mask if only history frames are absent"
            )
        present = [task for task in tasks.values() if task is not None]
        return build_records(self.store, present, compute_frame, workers, progress)

    def _readable(self, wanted: dict[Ref, FrameRef], workers: int, progress: Progress | None) -> BuildReport:
        found, failed = each(wanted, lambda ref: [self._task(ref)])
        tasks = {record: task for record, [task] in found.items()}
        failed |= {record: "a sensor file is absent" for record, task in tasks.items() if task is None}
        present = [task for task in tasks.values() if task is not None]
        report = build_records(self.store, present, compute_frame, workers, progress, skip=True)
        named: dict[tuple[str, str], str] = {(ref.group, ref.token): why for ref, why in failed.items()}
        return replace(report, failed=named | dict(report.failed))

    def has(self, refs: Sequence[FrameRef]) -> np.ndarray:
        """(n,) bool: which frames are in the cache."""
        return self.store.has([ref.record for ref in refs])

    def reader(self, refs: Sequence[FrameRef]) -> RecordReader:
        """Records of ``frame_dtype`` by position in ``refs``; UserError with the count where some are not cached."""
        return self.store.reader([ref.record for ref in refs])
