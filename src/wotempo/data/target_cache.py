"""Targets of scenes, drawn once: everything but the sampled ego of the future map, which changes with the epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wotempo.data.build import BuildReport, LogWork, Progress, Task, build_logs, build_records
from wotempo.data.identity import file_stamp, key_of
from wotempo.data.reader import RecordReader
from wotempo.data.store import RecordStore, Ref
from wotempo.errors import UserError
from wotempo.maps import read_map
from wotempo.navsim.schema import DataPaths, Scene
from wotempo.targets import (
    TargetSpec,
    agent_future,
    agent_target,
    bev_map_target,
    future_base_map,
    trajectory_target,
)
from wotempo.targets.future import NUM_FUTURES, future_width


@dataclass(frozen=True)
class SceneSource:
    scene: Scene
    maps: Path
    spec: TargetSpec


def target_dtype(spec: TargetSpec) -> np.dtype:
    futures = [("agent_future", "<f4", (NUM_FUTURES, future_width(spec.num_poses)))] if spec.futures else []
    return np.dtype(
        [
            ("trajectory", "<f4", (spec.num_poses, 3)),
            ("agent_states", "<f4", (spec.num_agents, 5)),
            ("agent_labels", "?", (spec.num_agents,)),
            ("bev_map", "u1", spec.grid.shape),
            ("future_base_map", "u1", spec.grid.shape),
            *futures,
        ]
    )


def compute_target(source: SceneSource) -> np.ndarray:
    """Targets of one scene -> a record of ``target_dtype``."""
    scene, spec = source.scene, source.spec
    city = read_map(source.maps, scene.current.map_location)
    record = np.empty((), target_dtype(spec))
    record["trajectory"] = trajectory_target(scene, spec.num_poses)
    record["agent_states"], record["agent_labels"] = agent_target(scene.current, spec)
    record["bev_map"] = bev_map_target(scene, city, spec)
    record["future_base_map"] = future_base_map(scene, city, spec)
    if spec.futures:
        record["agent_future"] = agent_future(scene, spec)
    return record


def _slim(scene: Scene) -> Scene:
    """The scene with only the part of its log that targets look at: a whole log is megabytes to send to a process."""
    log, begin = scene.log.for_a_task(scene.index, scene.index + scene.num_future)
    return replace(scene, log=log, index=scene.index - begin, num_history=1)


def scene_ref(scene: Scene) -> Ref:
    return Ref(f"{scene.log.split}/{scene.log.name}", scene.token)


def scenes_by_log(scenes: Iterable[Scene]) -> dict[str, list[Scene]]:
    """Group of records -> its scenes."""
    found: dict[str, list[Scene]] = {}
    for scene in scenes:
        found.setdefault(f"{scene.log.split}/{scene.log.name}", []).append(scene)
    return found


class TargetCache:
    """Cached targets of ``spec`` below ``root``, made from the logs and maps of ``paths``."""

    def __init__(self, root: Path, paths: DataPaths, spec: TargetSpec) -> None:
        self.paths = paths
        self.spec = spec
        self.store = RecordStore(root, "targets", spec.content_hash, target_dtype(spec))
        self._identities: dict[Path, list] = {}

    def _identity(self, path: Path) -> list:
        if path not in self._identities:
            stamp = file_stamp(path, "/".join(path.parts[-3:]))
            if stamp is None:
                raise UserError(f"{path}: is gone, its scenes were read from there; put it back")
            self._identities[path] = stamp
        return self._identities[path]

    def _task(self, scene: Scene) -> Task:
        log_path = self.paths.log_dir(scene.log.split) / f"{scene.log.name}.pkl"
        map_path = read_map(self.paths.maps, scene.current.map_location).path
        key = key_of([self._identity(log_path), self._identity(map_path)])
        group, token = scene_ref(scene)
        return Task(group, token, key, SceneSource(scene, self.paths.maps, self.spec))

    def build(self, scenes: Iterable[Scene], workers: int = 1, progress: Progress | None = None) -> BuildReport:
        """Make the targets of all scenes present and good; re-used while log file, map file and parameters stay."""
        logs = scenes_by_log(scenes)
        works = (LogWork(group, [_slim(scene) for scene in members]) for group, members in logs.items())
        return build_logs(self.store, self._build_log, works, sum(map(len, logs.values())), workers, progress)

    def _build_log(self, work: LogWork) -> BuildReport:
        self._identities.clear()  # a file may have changed since an earlier build
        return build_records(self.store, [self._task(scene) for scene in work.items], compute_target)

    def reader(self, scenes: Sequence[Scene]) -> RecordReader:
        """Records of ``target_dtype`` by position in ``scenes``; UserError with the count where some are not cached."""
        return self.store.reader([scene_ref(scene) for scene in scenes])
