"""The windows of a run: how long they are, which scenes have whole ones, and whether their sensor files are there."""

from __future__ import annotations

from contextlib import closing
from functools import partial

import numpy as np

from wotempo.config.missing import ERROR, MASK
from wotempo.config.schema import RunConfig
from wotempo.data import require_history
from wotempo.data.frame_cache import frames_of, windows_of
from wotempo.data.target_cache import scenes_by_log
from wotempo.data.window import MISSING, all_places, fallen
from wotempo.datasets import Progress
from wotempo.errors import UserError
from wotempo.navsim import DataPaths, Frame, Scene, sensor_paths
from wotempo.navsim.dataset import Lack, lack_of_sensors, size_of
from wotempo.navsim.per_scene import attempted
from wotempo.needs import WindowNeeds
from wotempo.planners.registry import needs_of
from wotempo.processes import over_processes

NO_SENSORS = "without all their sensor files"  # reasons of datasets.coverage
FEW = 100  # logs that are looked at here, sooner than by processes that must start first
PRELOAD = ("wotempo.preparation.windows",)
SHORT = "whose log does not reach back as far as a window"


def window_needs(config: RunConfig) -> WindowNeeds:
    """What the run's planner wants in its windows, told from the configuration."""
    return needs_of(config.planner, config.model, config.fusion)


def with_history(config: RunConfig, scenes: dict[str, list[Scene]]) -> dict[str, list[Scene]]:
    """The scenes (by split) whose log reaches back as far as a window, where ``full_history_only`` asks for it; else
    all. UserError when no scene of a split has a whole window."""
    needs = window_needs(config)
    frames, stride = needs.frames, needs.stride
    for split, members in scenes.items():
        require_history(members, frames, stride, split)
    if not config.data.full_history_only:
        return scenes
    return {split: [members[i] for i in whole(members, frames, stride)] for split, members in scenes.items()}


def whole(scenes: list[Scene], frames: int, stride: int) -> list[int]:
    """Positions of the scenes whose window lacks no frame."""
    return np.flatnonzero((all_places(scenes, frames, stride) != MISSING).all(1)).tolist()


def check_sensors(config: RunConfig, paths: DataPaths, scenes: dict[str, list[Scene]], progress: Progress) -> None:
    """That every sensor file which the windows need is there, before hours go into labels; where scenes may be left
    out, that one scene of each split has all of them. UserError counts them."""
    needs = window_needs(config)
    frames, stride = needs.frames, needs.stride
    if config.data.missing != ERROR:  # the data module leaves them out
        for split, members in scenes.items():
            _require_some(config, paths, split, members)
        return
    for split, members in scenes.items():
        folder, lack = getattr(config.data, split).split, Lack()
        work = partial(_lack_of, paths, folder, frames, stride)
        logs = list(scenes_by_log(members).values())
        with closing(over_processes(work, logs, _workers(config, logs), PRELOAD)) as found:
            for done, (_, of_log) in enumerate(found, 1):
                lack += of_log
                if len(logs) > FEW:
                    progress(f"look at {split} sensors", done, len(logs))
        lack.refuse(paths.blob_dir(folder), "sensor")


def _require_some(config: RunConfig, paths: DataPaths, split: str, scenes: list[Scene]) -> None:
    """The first log with a whole window ends the search."""
    needs, folder = window_needs(config), getattr(config.data, split).split
    for of_log in scenes_by_log(scenes).values():
        frames = [ref.frame for ref in frames_of(of_log, needs.frames, needs.stride)]
        lost = np.array([not _whole(paths, folder, frame) for frame in frames])
        if not fallen(windows_of(of_log, needs.frames, needs.stride), lost, config.data.missing == MASK).all():
            return
    raise UserError(
        f"none of the {len(scenes)} scenes of {split} has all its sensor files below {paths.blob_dir(folder)}"
    )


def _whole(paths: DataPaths, split: str, frame: Frame) -> bool:
    sizes, _ = attempted(lambda: [size_of(file) for file in sensor_paths(paths, split, frame)])
    return sizes is not None and all(sizes)


def _lack_of(paths: DataPaths, split: str, frames: int, stride: int, of_log: list[Scene]) -> Lack:
    return lack_of_sensors(paths, split, (ref.frame for ref in frames_of(of_log, frames, stride)))


def _workers(config: RunConfig, logs: list[list[Scene]]) -> int:
    return config.data.prepare_workers if len(logs) > FEW else 1
