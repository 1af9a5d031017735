"""Ego status vector."""

from __future__ import annotations

import numpy as np

from wotempo.navsim.index.columns import NONE, columns_of, one_hot
from wotempo.navsim.schema import COMMANDS, Frame, Log


def status_vector(command: np.ndarray, velocity: np.ndarray, acceleration: np.ndarray) -> np.ndarray:
    """(8,) float32: command one-hot (left, forward, right, unknown), velocity x, y (m/s), acceleration x, y (m/s²),
    the latter four in the ego frame. The order is TransFuser's and WoTE's."""
    return np.concatenate((command, velocity, acceleration)).astype(np.float32)


def status_features(log: Log, places: np.ndarray) -> np.ndarray:
    """(n, 8), the ``status_vector`` of the frames at ``places`` (n,) of a log."""
    rows = columns_of(log).rows[places]
    commands = np.array([one_hot(place) for place in range(len(COMMANDS))])[rows["command"]]
    for i in np.flatnonzero(rows["command"] == NONE):  # none of the four: the index does not know it
        commands[i] = log.frames[places[i]].command
    return np.concatenate((commands, rows["velocity"], rows["acceleration"]), 1).astype(np.float32)


def status_feature(frame: Frame) -> np.ndarray:
    """``status_vector`` of a frame of a log."""
    return status_vector(frame.command, frame.velocity, frame.acceleration)
