"""Ego status vector."""

from __future__ import annotations

import numpy as np

from wotempo.navsim.schema import Frame


def status_vector(command: np.ndarray, velocity: np.ndarray, acceleration: np.ndarray) -> np.ndarray:
    """(8,) float32: command one-hot (left, forward, right, unknown), velocity x, y (m/s), acceleration x, y (m/s²),
    the latter four in the ego frame. The order is TransFuser's and WoTE's."""
    return np.concatenate((command, velocity, acceleration)).astype(np.float32)


def status_feature(frame: Frame) -> np.ndarray:
    """``status_vector`` of a frame of a log."""
    return status_vector(frame.command, frame.velocity, frame.acceleration)
