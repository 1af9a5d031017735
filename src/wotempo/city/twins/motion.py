"""The motion of a changed agent by script: a line, and the place on it at every step about the current frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wotempo.city.streets.curves import Line
from wotempo.city.traffic.simulation import DT
from wotempo.navsim.schema import FRAME_PERIOD_S, NUM_FUTURE, NUM_HISTORY

STEPS = round(FRAME_PERIOD_S / DT)  # of a frame
NOW = STEPS * (NUM_HISTORY - 1) + 1  # place of the current frame: one step comes before the first
AFTER = STEPS * NUM_FUTURE + 1  # steps that follow the current one: one comes after the last frame
COUNT = NOW + 1 + AFTER
TIME = DT * (np.arange(COUNT) - NOW)  # seconds since the current frame
HISTORY = NOW - STEPS * np.arange(NUM_HISTORY - 1, 0, -1)  # places of the frames before the current one


@dataclass(frozen=True)
class Motion:
    """An agent on its way. Its rear axle, or a walker's middle, is at ``s`` (COUNT,) metres along ``line``."""

    line: Line
    s: np.ndarray
    ahead: float  # metres from there to the middle of the box

    @property
    def speed(self) -> np.ndarray:
        """(COUNT,) m/s."""
        return np.gradient(self.s, DT)

    def poses(self) -> np.ndarray:
        """(COUNT, 3) local x, y, heading of the middle of the box."""
        return poses_on(self.line, self.s, self.ahead)


def poses_on(line: Line, s: np.ndarray, ahead: float) -> np.ndarray:
    """(M, 3) poses of the middle of a box whose axle is at ``s`` (M,)."""
    x, y, heading = (np.interp(s, line.s, values) for values in (*line.points.T, line.heading))
    return np.stack([x + ahead * np.cos(heading), y + ahead * np.sin(heading), heading], 1)


def moved(line: Line, at_now: float, speed: Callable[[np.ndarray], np.ndarray], ahead: float) -> Motion:
    """The motion that is at ``at_now`` metres now and has ``speed`` (seconds) -> m/s."""
    v = np.maximum(speed(TIME), 0.0)
    s = np.concatenate([[0.0], np.cumsum((v[1:] + v[:-1]) / 2 * DT)])
    return Motion(line, at_now + s - s[NOW], ahead)


def steady(speed: float) -> Callable[[np.ndarray], np.ndarray]:
    """One speed all the time."""
    return lambda t: np.full(t.shape, speed)


def braking(now: float, rate: float, before: float) -> Callable[[np.ndarray], np.ndarray]:
    """Brakes with ``rate`` m/s² since ``before`` seconds ago, has ``now`` m/s now, and comes to a stand."""
    return lambda t: np.maximum(now - rate * np.maximum(t, -before), 0.0)
