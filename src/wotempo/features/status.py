"""Ego status vector."""

from __future__ import annotations

import numpy as np

from wotempo.navsim.schema import Frame


def status_feature(frame: Frame) -> np.ndarray:
    """(8,) float32: command one-hot (left, forward, right, unknown), velocity x, y (m/s), acceleration x, y (m/s²),
    the latter four in the ego frame. The order is TransFuser's and WoTE's."""
    return np.concatenate((frame.command, frame.velocity, frame.acceleration)).astype(np.float32)
