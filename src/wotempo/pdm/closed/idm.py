"""The intelligent driver model, for many drivers at once."""

from __future__ import annotations

import numpy as np

from wotempo.pdm.states import STEP_S

MIN_GAP = 1.0  # metres
HEADWAY_S = 1.5
MAX_ACCEL, MAX_DECEL = 1.5, 3.0  # m/s²
EXPONENT = 10


def idm_acceleration(speed: np.ndarray, target: np.ndarray, gap: np.ndarray, leader_speed: np.ndarray) -> np.ndarray:
    """Acceleration (N,) m/s² from own speed, wanted speed and leader's speed (N,) m/s and the gap (N,) m.

    Gaps below MIN_GAP count as MIN_GAP. Treiber, Hennecke, Helbing (2000), eq. 3 and 4, cut at both limits.
    """
    approach = speed * (speed - leader_speed) / (2 * np.sqrt(MAX_ACCEL * MAX_DECEL))
    wanted_gap = MIN_GAP + speed * HEADWAY_S + approach
    accel = MAX_ACCEL * (1 - (speed / target) ** EXPONENT - (wanted_gap / np.maximum(gap, MIN_GAP)) ** 2)
    return np.clip(accel, -MAX_DECEL, MAX_ACCEL)


def idm_step(
    progress: np.ndarray, speed: np.ndarray, target: np.ndarray, gap: np.ndarray, leader_speed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Progress and speed (N,) 0.1 s later: one Euler step, which moves with the old speed.

    A speed may turn slightly negative when a driver brakes to a stop, as in NAVSIM.
    """
    return progress + STEP_S * speed, speed + STEP_S * idm_acceleration(speed, target, gap, leader_speed)
