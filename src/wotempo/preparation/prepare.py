"""Everything a run needs before the first step: dataset, scenes, anchors, labels. What is there is used again.

The caches of features and targets are the data module's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from wotempo.city import build_city, city_config, simulate_futures
from wotempo.config.schema import DataConfig, RunConfig, SplitConfig
from wotempo.data import require_history, window_frames
from wotempo.errors import UserError
from wotempo.navsim import (
    DataPaths,
    Log,
    Scene,
    SceneFilter,
    ScoreTable,
    check_frames,
    find_scenes,
    fingerprint,
    log_paths,
    read_anchors,
    read_log,
    read_splits,
    write_anchors,
)
from wotempo.pdm.agents import human_poses
from wotempo.pdm.anchors import cluster_anchors
from wotempo.pdm.labels.label import label_scenes

Progress = Callable[[str, int, int], None]  # what, done, total

TOWN_NOTE = "town data: these are not NAVSIM numbers"


@dataclass(frozen=True)
class Prepared:
    """``scenes`` by stage; ``anchors`` (N, 8, 3); ``labels`` a score-table folder over train and val."""

    paths: DataPaths
    scenes: dict[str, list[Scene]]
    anchors: np.ndarray
    labels: Path
    name: str
    note: str


def town_root(data: DataConfig, workspace: str) -> Path:
    """Where a town lies: one folder per preset, seed and generator version."""
    if data.root is not None:
        return Path(data.root)
    city = city_config(data.preset, data.seed, data.all_cameras)
    return Path(workspace) / f"town-{data.preset}-{data.seed}-{city.fingerprint}"


def dataset(data: DataConfig, workspace: str, progress: Progress) -> DataPaths:
    """The dataset's folders; a town is generated where it is missing."""
    if data.kind == "navsim":
        if data.root is None:
            return DataPaths.from_env(os.environ)
        root = Path(data.root)
        return DataPaths(root, Path(data.maps) if data.maps else root / "maps")
    if data.kind != "town":
        raise UserError(f"data.kind is '{data.kind}'; set it to town or navsim")
    root = town_root(data, workspace)
    city = city_config(data.preset, data.seed, data.all_cameras)
    build_city(root, city, workers=data.prepare_workers, progress=progress)
    return DataPaths(root, root / "maps")


def _listed_logs(path: str | None, stage: str) -> frozenset[str] | None:
    """Log names of a stage from a yaml that is a list, or a mapping with ``<stage>_logs`` (as the devkit ships)."""
    if path is None:
        return None
    try:
        raw = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"data.{stage}.logs: cannot read {path} ({error})") from None
    names = raw.get(f"{stage}_logs") if isinstance(raw, dict) else raw
    if not isinstance(names, list):
        raise UserError(f"{path} has no list '{stage}_logs'")
    return frozenset(names)


def stage_scenes(paths: DataPaths, data: DataConfig, stage: str, progress: Progress) -> list[Scene]:
    """The scenes of "train", "val" or "test"."""
    chosen: SplitConfig = getattr(data, stage)
    wanted = SceneFilter.from_yaml(Path(chosen.scene_filter)) if chosen.scene_filter else SceneFilter()
    names = _listed_logs(chosen.logs, stage)
    if data.kind == "town":
        entry = read_splits(paths.root)[stage]
        names = frozenset(entry.logs) if names is None else names & frozenset(entry.logs)
    if wanted.log_names is not None:
        names = wanted.log_names if names is None else names & wanted.log_names
    if data.kind != "town" and names is not None:
        present = {path.stem for path in log_paths(paths, chosen.split)}
        if missing := sorted(names - present):
            # The devkit's lists name more logs than a split holds; only none at all is a mistake.
            names = names & present
            if not names:
                raise UserError(f"{paths.log_dir(chosen.split)} holds none of the logs of {stage}, first {missing[0]}")
    files = log_paths(paths, chosen.split, names)
    logs: list[Log] = []
    progress(f"read {stage} logs", 0, len(files))
    for done, file in enumerate(files, 1):
        logs.append(read_log(file, chosen.split))
        progress(f"read {stage} logs", done, len(files))
    scenes = find_scenes(logs, replace(wanted, log_names=None, require_full_history=data.full_history_only))
    if not scenes:
        raise UserError(f"no scenes for {stage}: check data.{stage}.split, its log list and its scene filter")
    return spread(scenes, chosen.max_scenes)


def spread(scenes: list[Scene], count: int | None) -> list[Scene]:
    """``count`` of the scenes, evenly spread; all of them for None."""
    if count is None or count >= len(scenes):
        return scenes
    return [scenes[i] for i in np.linspace(0, len(scenes) - 1, count).round().astype(int)]


def anchors_file(data: DataConfig, workspace: str, number: int, paths: DataPaths, train: list[Scene]) -> Path:
    """``data.anchors``, or where ``number`` anchors of these training scenes lie once they are made."""
    if data.anchors is not None:
        return Path(data.anchors)
    drives = data.extra_drives if data.kind == "town" else 0
    made_from = "".join([*(scene.token for scene in train), str(drives)])
    which = hashlib.sha256(made_from.encode()).hexdigest()[:8]
    return Path(workspace) / "anchors" / f"{paths.root.name}-{number}-{which}.npy"


def anchors_of(
    data: DataConfig, workspace: str, number: int, paths: DataPaths, train: list[Scene], progress: Progress
) -> np.ndarray:
    """(number, 8, 3): the file of ``data.anchors``, or k-means over training futures (and a town's simulated drives).
    UserError where that file holds another number of anchors."""
    path = anchors_file(data, workspace, number, paths, train)
    if data.anchors is not None:
        anchors = read_anchors(path)
        if len(anchors) != number:
            raise UserError(f"{data.anchors} holds {len(anchors)} anchors: set model.num_anchors={len(anchors)}")
        return anchors
    if path.exists():
        return read_anchors(path)
    progress("cluster anchors", 0, 1)
    futures = np.stack([human_poses(scene) for scene in train])
    if data.kind == "town" and data.extra_drives:
        city = city_config(data.preset, data.seed, data.all_cameras)
        futures = np.concatenate((futures, simulate_futures(city, data.extra_drives, seed=data.seed)))
    anchors = cluster_anchors(futures, number, seed=0)
    write_anchors(path, anchors)
    progress("cluster anchors", 1, 1)
    return anchors


def labels_folder(workspace: str, paths: DataPaths, scenes: list[Scene], anchors: np.ndarray) -> Path:
    """Where the labels of these scenes and anchors lie when no folder is given: `make labels` and training agree."""
    which = hashlib.sha256("".join(scene.token for scene in scenes).encode()).hexdigest()[:8]
    return Path(workspace) / "labels" / f"{paths.root.name}-{fingerprint(anchors)}-{which}"


def without_invalid(scenes: dict[str, list[Scene]], invalid: dict[str, str]) -> dict[str, list[Scene]]:
    """The scenes that have labels; says how many have none."""
    kept = {stage: [scene for scene in members if scene.token not in invalid] for stage, members in scenes.items()}
    if dropped := [s.token for members in scenes.values() for s in members if s.token in invalid]:
        print(f"{len(dropped)} scenes are left out, they cannot be scored (first: {invalid[dropped[0]]})", flush=True)
    return kept


def labels_of(
    config: RunConfig, paths: DataPaths, scenes: list[Scene], anchors: np.ndarray, progress: Progress
) -> Path:
    """The score table over ``scenes``: the given one (checked by the data module) or one made here."""
    if config.data.labels is not None:
        folder = Path(config.data.labels)
        ScoreTable.open(folder).require_anchors(anchors)
        return folder
    folder = labels_folder(config.workspace, paths, scenes, anchors)
    label_scenes(
        scenes,
        paths.maps,
        anchors,
        folder,
        workers=config.data.prepare_workers,
        progress=lambda done, total: progress("label anchors", done, total),
        overwrite=False,
    )
    return folder


def window_of(config: RunConfig) -> tuple[int, int]:
    """Frames of a window, and frames of the log from one to the next."""
    return config.fusion["num_frames"], config.fusion.get("frame_stride", 1)


def with_history(config: RunConfig, scenes: dict[str, list[Scene]]) -> dict[str, list[Scene]]:
    """The scenes whose log reaches back as far as a window, where ``full_history_only`` asks for it; else all.
    UserError when no scene of a stage has a whole window."""
    frames, stride = window_of(config)
    for stage, members in scenes.items():
        require_history(members, frames, stride, stage)
    if not config.data.full_history_only:
        return scenes
    return {
        stage: [scene for scene in members if None not in window_frames(scene, frames, stride)]
        for stage, members in scenes.items()
    }


def check_sensors(config: RunConfig, paths: DataPaths, scenes: dict[str, list[Scene]]) -> None:
    """That every sensor file which the windows need is there, before hours go into labels. UserError counts them."""
    frames, stride = window_of(config)
    if config.data.missing_history == "mask":
        frames = 1
    for stage, members in scenes.items():
        needed = {f.token: f for scene in members for f in window_frames(scene, frames, stride) if f is not None}
        check_frames(paths, getattr(config.data, stage).split, needed.values())


def prepare(config: RunConfig, progress: Progress, stages: tuple[str, ...] = ("train", "val")) -> Prepared:
    """All of it; ``stages`` are the splits whose scenes are wanted, labels cover train and val."""
    paths = dataset(config.data, config.workspace, progress)
    scenes = {stage: stage_scenes(paths, config.data, stage, progress) for stage in stages}
    windows = with_history(config, scenes)
    check_sensors(config, paths, windows)
    # Anchors and labels are those of all scenes: runs of other history lengths share them.
    number, train = config.model.num_anchors, scenes.get("train", [])
    anchors = anchors_of(config.data, config.workspace, number, paths, train, progress)
    labelled = {scene.token: scene for stage in ("train", "val") for scene in scenes.get(stage, [])}
    labels = labels_of(config, paths, list(labelled.values()), anchors, progress)
    windows = without_invalid(windows, ScoreTable.open(labels).invalid)
    town = config.data.kind == "town"
    return Prepared(
        paths=paths,
        scenes=windows,
        anchors=anchors,
        labels=labels,
        name=f"town '{config.data.preset}'" if town else "NAVSIM",
        note=TOWN_NOTE if town else "",
    )
