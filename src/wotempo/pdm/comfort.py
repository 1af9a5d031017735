"""Comfort: six smoothed signals of the simulated motion stay within bounds."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.signal import savgol_filter

from wotempo.pdm.states import ACCEL, ACCEL_Y, HEADING, NUM_STEPS, STEP_S

DECIMALS = 8
MIN_LON_ACCEL, MAX_LON_ACCEL = -4.05, 2.40  # m/s²
MAX_LAT_ACCEL = 4.89  # m/s²
MAX_JERK, MAX_LON_JERK = 8.37, 4.13  # m/s³
MAX_YAW_ACCEL = 1.93  # rad/s²
MAX_YAW_RATE = 0.95  # rad/s

SIGNALS = ("lon_accel", "lat_accel", "jerk", "lon_jerk", "yaw_accel", "yaw_rate")


def comfort_tests(states: np.ndarray) -> np.ndarray:
    """(N, 6) bool in the order of SIGNALS, from states (N, 41, 11)."""
    accel, accel_y = states[..., ACCEL], states[..., ACCEL_Y]
    heading = _unwrap(states[..., HEADING])
    tests = (
        _within(_smooth(accel, NUM_STEPS), MIN_LON_ACCEL, MAX_LON_ACCEL),
        _within(_smooth(accel_y, NUM_STEPS), -MAX_LAT_ACCEL, MAX_LAT_ACCEL),
        _within(_jerk(np.hypot(accel, accel_y)), -MAX_JERK, MAX_JERK),
        _within(_jerk(accel), -MAX_LON_JERK, MAX_LON_JERK),
        _within(_smooth(heading, 5, order=3, derivative=2), -MAX_YAW_ACCEL, MAX_YAW_ACCEL),
        _within(_smooth(heading, 5, derivative=1), -MAX_YAW_RATE, MAX_YAW_RATE),
    )
    return np.stack(tests, -1)


def _jerk(accel: np.ndarray) -> np.ndarray:
    return _smooth(_smooth(accel, 8), NUM_STEPS, derivative=1)


def _smooth(signal: np.ndarray, window: int, order: int = 2, derivative: int = 0) -> np.ndarray:
    """Savitzky–Golay filter of (N, 41), rounded as in NAVSIM."""
    return np.round(signal @ _filter_matrix(window, order, derivative), DECIMALS)


@cache
def _filter_matrix(window: int, order: int, derivative: int) -> np.ndarray:
    """(41, 41): the filter is linear, so its response to the unit signals is all of it."""
    return savgol_filter(np.eye(NUM_STEPS), window, order, deriv=derivative, delta=STEP_S, axis=-1)


def _within(signal: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.all((signal > low) & (signal < high), axis=-1)


def _unwrap(heading: np.ndarray) -> np.ndarray:
    """Headings without jumps of 2π; numpy's unwrap differs at jumps of exactly π."""
    turns = np.zeros_like(heading)
    turns[..., 1:] = np.cumsum(np.round(np.diff(heading, axis=-1) / (2 * np.pi)), -1)
    return heading - 2 * np.pi * turns
