"""Features of frames, computed once per frame and shared by every window that holds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wotempo.data.build import BuildReport, LogWork, Progress, Task, build_logs, build_records
from wotempo.data.identity import file_stamp, key_of, state_in
from wotempo.data.reader import RecordReader
from wotempo.data.store import RecordStore, Ref
from wotempo.data.window import MISSING, all_places, fallen
from wotempo.errors import UserError
from wotempo.features import FeatureSpec, camera_feature, check_image, lidar_feature
from wotempo.navsim.images import read_image
from wotempo.navsim.pcd import read_pcd
from wotempo.navsim.per_scene import each
from wotempo.navsim.schema import STITCHED_CAMERAS, DataPaths, Frame, Scene

ABSENT = "a sensor file is absent"


class FrameRef(NamedTuple):
    """A frame and the split directory its files lie in."""

    split: str
    frame: Frame
    required: bool = True  # False: where its sensor files are absent, it is left out

    @property
    def record(self) -> Ref:
        return Ref(f"{self.split}/{self.frame.log_name}", self.frame.token)


def frames_of(scenes: Sequence[Scene], num_frames: int, frame_stride: int, optional: bool = False) -> list[FrameRef]:
    """Distinct frames of the windows of scenes of one log: the current ones first, then those that are history only,
    which are not required where they are ``optional``."""
    log = scenes[0].log
    current, past = _distinct(all_places(scenes, num_frames, frame_stride))
    refs = [FrameRef(log.split, log.frames[place]) for place in current]
    return refs + [FrameRef(log.split, log.frames[place], not optional) for place in past]


def windows_of(scenes: Sequence[Scene], num_frames: int, frame_stride: int) -> np.ndarray:
    """The windows of scenes of one log, (n, num_frames): positions in what ``frames_of`` returns, or MISSING."""
    places = all_places(scenes, num_frames, frame_stride)
    current, past = _distinct(places)
    number = np.full(1 + int(places.max()), MISSING)
    number[[*current, *past]] = np.arange(len(current) + len(past))
    return np.where(places == MISSING, MISSING, number[places])


def _distinct(places: np.ndarray) -> tuple[list[int], list[int]]:
    """Places of current frames, and of those that are history only."""
    current, past = dict.fromkeys(places[:, -1].tolist()), dict.fromkeys(places[:, :-1].ravel().tolist())
    return list(current), [place for place in past if place != MISSING and place not in current]


def count_frames(scenes: Sequence[Scene], num_frames: int, frame_stride: int) -> int:
    """How many ``frames_of`` returns."""
    return int((np.unique(all_places(scenes, num_frames, frame_stride)) != MISSING).sum())


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
        files = list(ref.frame.sensor_files)
        if absent := [name for name, file in zip((*STITCHED_CAMERAS, "the LiDAR"), files, strict=True) if not file]:
            raise UserError(
                f"frame {ref.frame.token} of log {ref.frame.log_name} names no file for {', '.join(absent)}: the log "
                "lacks the sensors WoTE reads"
            )
        return files

    def _stamps(self, ref: FrameRef) -> list[list | None]:
        """Of the sensor files; None where one is not there."""
        blobs = self.paths.blob_dir(ref.split)
        return [file_stamp(blobs / name, name) for name in self._files(ref)]

    def _task(self, ref: FrameRef, stamps: list[list | None]) -> Task | None:
        """None when a sensor file is not there."""
        if None in stamps:
            return None
        blobs, files = self.paths.blob_dir(ref.split), self._files(ref)
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
        """``build_logs`` of frames in any order."""
        by_log: dict[str, dict[str, FrameRef]] = {}
        for ref in required:
            by_log.setdefault(ref.record.group, {})[ref.frame.token] = ref
        for ref in optional:
            by_log.setdefault(ref.record.group, {}).setdefault(ref.frame.token, ref._replace(required=False))
        logs = [LogWork(group, list(of_log.values())) for group, of_log in by_log.items()]
        certain = all(ref.required for work in logs for ref in work.items)
        return self.build_logs(logs, sum(len(work.items) for work in logs), workers, progress, skip, certain)

    def build_logs(
        self,
        logs: Iterable[LogWork],
        total: int,
        workers: int = 1,
        progress: Progress | None = None,
        skip: bool = False,
        certain: bool = True,
    ) -> BuildReport:
        """Make the features of all frames of logs (``LogWork`` of FrameRefs), ``total`` of them, present and good;
        those that are not required and whose files are absent are left out (``certain``: there are none). With ``skip``
        so is every frame whose files are absent or cannot be read; the report says why. Then of a log with ``windows``
        no frame is made that belongs only to windows which lack a required one.

        A record is re-used when the paths, sizes and modification times of its sensor files and the feature parameters
        are unchanged. Raises UserError, with count and first file, when a required frame has no sensor file.
        """
        build = partial(self._build_log, skip)
        report = build_logs(self.store, build, logs, total, workers, progress, certain and not skip)
        if report.absent:
            raise UserError(
                f"{len(report.absent)} of {total} frames lack sensor files, first {report.absent[0]}: complete the "
                "download, or go on without them: data.missing=drop leaves out their scenes, data.missing=mask masks "
                "those that are history"
            )
        return report

    def _build_log(self, skip: bool, work: LogWork) -> BuildReport:
        if skip:
            return self._build_some(work)
        refs = {ref.frame.token: ref for ref in work.items}
        tasks = {token: self._task(ref, self._stamps(ref)) for token, ref in refs.items()}
        lost = [token for token, task in tasks.items() if task is None]
        if absent := tuple(str(self._first_absent(refs[token])) for token in lost if refs[token].required):
            return BuildReport(absent=absent)
        if work.look_only:
            return BuildReport()
        return build_records(self.store, [task for task in tasks.values() if task is not None], compute_frame)

    def _build_some(self, work: LogWork) -> BuildReport:
        """What of a log can be had: frames whose files are all there and can be read."""
        refs = {ref.frame.token: ref for ref in work.items}
        found, failed = each(refs, self._whole)
        needed = list(refs)
        if work.windows is not None and failed:
            lost = np.array([token in failed for token in refs])
            left = work.windows[~fallen(work.windows, lost, work.masked)]
            needed = [needed[place] for place in np.unique(left[left != MISSING])]
        report = build_records(self.store, [found[t] for t in needed if t in found], compute_frame, skip=True)
        for _, token in report.failed:
            failed[token] = report.failed[work.group, token]
        watched = frozenset(path for token in failed for path in self._watched(refs[token]))
        return replace(report, failed={(work.group, t): why for t, why in failed.items()}, watched=watched)

    def _whole(self, ref: FrameRef) -> Task:
        """UserError where a sensor file is absent or empty."""
        stamps = self._stamps(ref)
        if empty := [stamp[0] for stamp in stamps if stamp is not None and stamp[1] == 0]:
            raise UserError(f"{self.paths.blob_dir(ref.split) / empty[0]}: is empty (0 bytes)")
        if (task := self._task(ref, stamps)) is None:
            raise UserError(ABSENT)
        return task

    def _watched(self, ref: FrameRef) -> list[Path]:
        """What changes when a frame that cannot be had may be had: the folder of the first file that is absent, else
        the files themselves."""
        named = [name for name in ref.frame.sensor_files if name]
        files = [self.paths.blob_dir(ref.split) / name for name in named]
        absent = next((file for file in files if state_in(file) is None), None)
        return files if absent is None else [absent.parent]

    def _first_absent(self, ref: FrameRef) -> Path:
        blobs = self.paths.blob_dir(ref.split)
        return next(blobs / name for name in self._files(ref) if not (blobs / name).exists())

    def has(self, refs: Sequence[FrameRef | Ref]) -> np.ndarray:
        """(n,) bool: which frames, or records of frames, are in the cache."""
        return self.store.has(_records(refs))

    def reader(self, refs: Sequence[FrameRef | Ref]) -> RecordReader:
        """Records of ``frame_dtype`` by position in ``refs``; UserError with the count where some are not cached."""
        return self.store.reader(_records(refs))


def _records(refs: Sequence[FrameRef | Ref]) -> list[Ref]:
    return [ref.record if isinstance(ref, FrameRef) else ref for ref in refs]
