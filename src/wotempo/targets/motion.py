"""The true velocities of the agents around the ego: what no single frame shows. For the oracle control alone."""

from __future__ import annotations

import numpy as np

from wotempo.navsim.schema import AGENT_NAMES, Frame
from wotempo.targets.agents import boxes_of, nearest_first
from wotempo.targets.spec import TargetSpec

NUM_MOVING = 64


def agent_motion(frame: Frame, spec: TargetSpec) -> np.ndarray:
    """The nearest agents whose centre lies in ``spec.agent_grid``, nearest first.

    Returns (NUM_MOVING, 5) float32: x, y (m) and the agent's own velocity v_x, v_y (m/s) in the ego frame, and 1; zeros
    where empty. UserError when the log has no annotations.
    """
    boxes, grid = boxes_of(frame), spec.agent_grid
    x, y = boxes.boxes[:, 0], boxes.boxes[:, 1]
    inside = (x >= grid.x_min) & (x < grid.x_max) & (y >= grid.y_min) & (y < grid.y_max)
    chosen = np.isin(boxes.names, AGENT_NAMES) & inside
    found = np.column_stack((boxes.boxes[chosen, :2], boxes.velocity[chosen, :2], np.ones(chosen.sum())))
    return nearest_first(found, NUM_MOVING)
