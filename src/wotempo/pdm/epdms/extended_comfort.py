"""Extended comfort: consecutive frames of a log ask for the same motion."""

from __future__ import annotations

import numpy as np

from wotempo.pdm.comfort import ACCEL_WINDOW, jerk, smooth, yaw_derivative
from wotempo.pdm.epdms.history import JERK_WINDOW
from wotempo.pdm.states import ACCEL, ACCEL_Y, HEADING, STEP_S

MAX_GAP_S = 0.55  # between consecutive frames
MAX_ACCEL, MAX_JERK, MAX_YAW_RATE, MAX_YAW_ACCEL = 0.7, 0.5, 0.1, 0.1  # RMS differences; m/s², m/s³, rad/s, rad/s²

EXTENDED_SIGNALS = ("accel", "jerk", "yaw_rate", "yaw_accel")


def extended_comfort(states: np.ndarray, states_before: np.ndarray, gap_s: float = 0.5) -> np.ndarray:
    """1 or 0, (N,): states (N, 41, 11) against those of the same agent simulated ``gap_s`` seconds earlier.

    states_before: (N, 41, 11), or (1, 41, 11) for all. Compared is the time that both cover.
    """
    if not 0 < gap_s <= MAX_GAP_S:
        raise ValueError(f"frames {gap_s} s apart are not consecutive; they are within {MAX_GAP_S} s")
    return np.asarray(extended_tests(states, states_before, gap_s).all(-1), np.float64)


def extended_tests(states: np.ndarray, states_before: np.ndarray, gap_s: float = 0.5) -> np.ndarray:
    """(N, 4) bool in the order of EXTENDED_SIGNALS; arguments as before."""
    shift = round(gap_s / STEP_S)
    now, before = _signals(states[:, :-shift]), _signals(states_before[:, shift:])
    fine = [
        np.sqrt(np.mean((a - b) ** 2, axis=1)) <= bound
        for a, b, bound in zip(now, before, (MAX_ACCEL, MAX_JERK, MAX_YAW_RATE, MAX_YAW_ACCEL), strict=True)
    ]
    return np.stack(fine, -1)


def _signals(states: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Size of the acceleration, its jerk, yaw rate and yaw acceleration, each (N, T)."""
    accel, heading = np.hypot(states[..., ACCEL], states[..., ACCEL_Y]), states[..., HEADING]
    return smooth(accel, ACCEL_WINDOW), jerk(accel, JERK_WINDOW), yaw_derivative(heading, 1), yaw_derivative(heading, 2)
