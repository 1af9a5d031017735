"""The windows of a run: how long they are, which scenes have whole ones, and whether their sensor files are there."""

from __future__ import annotations

import numpy as np

from wotempo.config.schema import RunConfig
from wotempo.data import require_history
from wotempo.data.frame_cache import frames_of
from wotempo.data.target_cache import scenes_by_log
from wotempo.data.window import MISSING, all_places
from wotempo.navsim import DataPaths, Scene, check_frames
from wotempo.needs import WindowNeeds
from wotempo.planners.registry import needs_of

NO_SENSORS = "without all their sensor files"  # reasons of datasets.coverage
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


def check_sensors(config: RunConfig, paths: DataPaths, scenes: dict[str, list[Scene]]) -> None:
    """That every sensor file which the windows need is there, before hours go into labels. UserError counts them."""
    if config.data.missing == "skip":  # the data module leaves them out
        return
    needs = window_needs(config)
    frames, stride = 1 if config.data.missing_history == "mask" else needs.frames, needs.stride
    for split, members in scenes.items():
        logs = scenes_by_log(members).values()
        needed = (ref.frame for of_log in logs for ref in frames_of(of_log, frames, stride))
        check_frames(paths, getattr(config.data, split).split, needed)
