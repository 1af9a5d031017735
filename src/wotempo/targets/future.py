"""The agents around the ego, now and in the next 4 s: what a forecast is trained to tell."""

from __future__ import annotations

import numpy as np

from wotempo.geometry import compose, relative_to
from wotempo.navsim.schema import AGENT_NAMES, Scene
from wotempo.targets.agents import boxes_of, nearest_first
from wotempo.targets.spec import TargetSpec
from wotempo.targets.trajectory import future_frames

NUM_FUTURES = 64  # agents
STATE = 5  # columns of an agent now, before those of its future
_COLUMNS = [0, 1, 6, 3, 4]  # x, y, yaw, length, width of a box


def future_width(num_poses: int) -> int:
    """Columns of an agent: its state now, and x, y, known of every future pose."""
    return STATE + 3 * num_poses


def agent_future(scene: Scene, spec: TargetSpec) -> np.ndarray:
    """The nearest agents whose centre lies in ``spec.agent_grid`` now, nearest first.

    Returns (NUM_FUTURES, 5 + 3·num_poses) float32, all in the current ego frame: x, y (m), heading (rad), length,
    width (m), then for each of the coming 2 Hz frames x, y (m) of the same track and 1, or zeros where it is annotated
    no more. Rows of zeros where there are no more agents. UserError where the log has no annotations or no future.
    """
    now, grid = boxes_of(scene.current), spec.agent_grid
    x, y = now.boxes[:, 0], now.boxes[:, 1]
    inside = (x >= grid.x_min) & (x < grid.x_max) & (y >= grid.y_min) & (y < grid.y_max)
    chosen = np.flatnonzero(np.isin(now.names, AGENT_NAMES) & inside)
    places = np.zeros((len(chosen), spec.num_poses, 3))
    for step, frame in enumerate(future_frames(scene, spec.num_poses, "a forecast of agents")):
        later = boxes_of(frame)
        row_of = {track: row for row, track in enumerate(later.track_tokens)}
        known = [(i, row_of[now.track_tokens[k]]) for i, k in enumerate(chosen) if now.track_tokens[k] in row_of]
        if known:
            mine, theirs = map(list, zip(*known, strict=True))
            moved = compose(relative_to(scene.current.pose, frame.pose), later.boxes[theirs][:, [0, 1, 6]])
            places[mine, step, :2], places[mine, step, 2] = moved[:, :2], 1.0
    found = np.concatenate((now.boxes[chosen][:, _COLUMNS], places.reshape(len(chosen), -1)), 1)
    return nearest_first(found, NUM_FUTURES)
