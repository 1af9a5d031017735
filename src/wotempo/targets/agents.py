"""Vehicles around the ego as a fixed-size list."""

from __future__ import annotations

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.schema import Boxes, Frame
from wotempo.targets.spec import TargetSpec

# Columns x, y, yaw, length, width of the (N, 7) boxes x, y, z, length, width, height, yaw.
_COLUMNS = [0, 1, 6, 3, 4]


def boxes_of(frame: Frame) -> Boxes:
    """The annotations of a frame; UserError when the log has none (private test logs)."""
    if frame.boxes is None:
        raise UserError(f"frame {frame.token} of log {frame.log_name} has no annotations: load its log without targets")
    return frame.boxes


def nearest_first(found: np.ndarray, count: int) -> np.ndarray:
    """found (n, K) whose columns begin with x, y (m) -> (count, K) float32: the nearest to the ego first, zeros where
    there are no more."""
    nearest = found[np.argsort(np.linalg.norm(found[:, :2], axis=-1), kind="stable")[:count]]
    padded = np.zeros((count, found.shape[1]), np.float32)
    padded[: len(nearest)] = nearest
    return padded


def agent_target(frame: Frame, spec: TargetSpec) -> tuple[np.ndarray, np.ndarray]:
    """The nearest vehicles whose centre lies in ``spec.agent_grid`` (borders included), nearest first.

    Returns states (num_agents, 5) float32: x, y (m), heading (rad), length, width (m) in the ego frame, zeros where
    empty; and labels (num_agents,) bool.
    """
    boxes, grid = boxes_of(frame), spec.agent_grid
    x, y = boxes.boxes[:, 0], boxes.boxes[:, 1]
    inside = (x >= grid.x_min) & (x <= grid.x_max) & (y >= grid.y_min) & (y <= grid.y_max)
    found = boxes.boxes[(boxes.names == "vehicle") & inside][:, _COLUMNS].astype(np.float32)
    return nearest_first(found, spec.num_agents), np.arange(spec.num_agents) < len(found)
