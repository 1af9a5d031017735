"""Ego status vector."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class EgoMotion(Protocol):
    """What the status is made of; ``navsim.Frame`` is one."""

    @property
    def command(self) -> np.ndarray: ...  # (4,) one-hot
    @property
    def velocity(self) -> np.ndarray: ...  # (2,) m/s, ego axes
    @property
    def acceleration(self) -> np.ndarray: ...  # (2,) m/s², ego axes


def status_feature(frame: EgoMotion) -> np.ndarray:
    """(8,) float32: command one-hot (left, forward, right, unknown), velocity x, y (m/s), acceleration x, y (m/s²),
    the latter four in the ego frame. The order is TransFuser's and WoTE's."""
    return np.concatenate((frame.command, frame.velocity, frame.acceleration)).astype(np.float32)
