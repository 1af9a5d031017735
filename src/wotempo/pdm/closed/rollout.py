"""IDM roll-out of drivers along paths, each behind whatever is ahead of it in its path's corridor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from wotempo.pdm.closed.forecast import STEPS_PER_MAP, Forecast
from wotempo.pdm.closed.idm import idm_step
from wotempo.pdm.closed.leaders import InReach, nearest_ahead, obstacles_in_reach
from wotempo.pdm.closed.paths import FollowedPath
from wotempo.pdm.states import HALF_LENGTH, HEADING, NUM_STEPS, SPEED, STEP_S

NUM_PLAN_STEPS = 51  # t = 0, 0.1 … 5.0 s
HORIZON_S = (NUM_PLAN_STEPS - 1) * STEP_S


def roll_out(paths: Sequence[FollowedPath], targets: np.ndarray, forecast: Forecast, ego: np.ndarray) -> np.ndarray:
    """Poses (len(paths)·T, 51, 3) of a driver for every path and every wanted speed of ``targets`` (T,), path by path.

    ego: (11,) start state. Drivers start where it projects to on their path, with its speed.
    """
    start = shapely.line_locate_point([path.line for path in paths], shapely.Point(ego[:HEADING]))
    reach = targets.max() * HORIZON_S
    corridors = [path.corridor(begin, begin + reach) for path, begin in zip(paths, start, strict=True)]
    found = obstacles_in_reach(paths, np.array(corridors), forecast)

    path_of, target = np.repeat(np.arange(len(paths)), len(targets)), np.tile(targets, len(paths))
    progress = np.empty((NUM_PLAN_STEPS, len(target)))
    progress[0], speed = start[path_of], np.full(len(target), ego[SPEED])
    # NAVSIM looks for leaders at even steps only, and before the first look every leader stands at the path's start:
    # the first step brakes as if bumper to bumper.
    leader = leader_speed = np.zeros(len(target))
    for step in range(1, NUM_PLAN_STEPS):
        now = progress[step - 1]
        if step % STEPS_PER_MAP == 0:
            together = len(targets) if step < NUM_STEPS else 1
            leader, leader_speed = _look(paths, found[step // STEPS_PER_MAP], path_of, now, together)
        progress[step], speed = idm_step(now, speed, target, leader - now, leader_speed)
    return _poses(paths, path_of, progress.T)


def _look(
    paths: Sequence[FollowedPath], found: InReach, path_of: np.ndarray, progress: np.ndarray, together: int
) -> tuple[np.ndarray, np.ndarray]:
    """Progress (D,) that must not be reached and its speed (D,): of the nearest obstacle ahead, else of the path's end.

    NAVSIM forgets to clear its leader record between the drivers of one path, ``together`` at a time: a driver without
    an obstacle of known speed ahead inherits the speed of the last one before it that has one, and from the first
    driver with a free road on all stop half an ego's length earlier, which is meant for the path's end. The chosen
    driver is unrolled from 4 s to 5 s alone, so nothing is inherited there.
    """
    gap, speed = np.full(len(progress), np.inf), np.full(len(progress), np.nan)
    if len(found.path):
        gap, speed = nearest_ahead(found, path_of, progress, _poses(paths, path_of, progress))
    ends = np.array([path.line.length for path in paths])[path_of]
    is_free = np.isinf(gap)
    shorter = np.logical_or.accumulate(is_free.reshape(-1, together), 1).ravel()
    number = np.arange(len(speed)).reshape(-1, together)
    source = np.maximum.accumulate(np.where(np.isnan(speed).reshape(number.shape), number[:, :1], number), 1).ravel()
    leader = np.where(is_free, ends, progress + gap) - np.where(shorter, HALF_LENGTH, 0.0)
    return leader, np.nan_to_num(speed[source])


def _poses(paths: Sequence[FollowedPath], path_of: np.ndarray, progress: np.ndarray) -> np.ndarray:
    """Poses (D, ..., 3) of drivers at progress (D, ...) on their paths."""
    poses = np.empty((*progress.shape, 3))
    for number, path in enumerate(paths):
        poses[path_of == number] = path.at(progress[path_of == number])
    return poses
