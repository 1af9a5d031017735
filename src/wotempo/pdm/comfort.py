"""Comfort: six smoothed signals of the simulated motion stay within bounds."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.signal import savgol_filter

from wotempo.pdm.states import ACCEL, ACCEL_Y, HEADING, NUM_STEPS, STEP_S

DECIMALS = 8
ACCEL_WINDOW, YAW_WINDOW = 8, 5  # samples
MIN_LON_ACCEL, MAX_LON_ACCEL = -4.05, 2.40  # m/s²
MAX_LAT_ACCEL = 4.89  # m/s²
MAX_JERK, MAX_LON_JERK = 8.37, 4.13  # m/s³
MAX_YAW_ACCEL = 1.93  # rad/s²
MAX_YAW_RATE = 0.95  # rad/s

Bounded = tuple[np.ndarray, float, float]  # a signal (N, T) and what it must stay between
SIGNALS = ("lon_accel", "lat_accel", "jerk", "lon_jerk", "yaw_accel", "yaw_rate")


def comfort_tests(states: np.ndarray) -> np.ndarray:
    """(N, 6) bool in the order of SIGNALS, from states (N, 41, 11)."""
    return within(comfort_signals(states))


def comfort_signals(states: np.ndarray) -> list[Bounded]:
    """In the order of SIGNALS, from states (N, 41, 11)."""
    accel, accel_y = states[..., ACCEL], states[..., ACCEL_Y]
    return bounded_signals(accel, accel_y, np.hypot(accel, accel_y), states[..., HEADING], NUM_STEPS, NUM_STEPS)


def bounded_signals(
    lon_accel: np.ndarray,
    lat_accel: np.ndarray,
    accel_size: np.ndarray,
    heading: np.ndarray,
    accel_window: int,
    jerk_window: int,
) -> list[Bounded]:
    """In the order of SIGNALS, from accelerations and headings (N, T) at 10 Hz; windows in samples."""
    return [
        (smooth(lon_accel, accel_window), MIN_LON_ACCEL, MAX_LON_ACCEL),
        (smooth(lat_accel, accel_window), -MAX_LAT_ACCEL, MAX_LAT_ACCEL),
        (jerk(accel_size, jerk_window), -MAX_JERK, MAX_JERK),
        (jerk(lon_accel, jerk_window), -MAX_LON_JERK, MAX_LON_JERK),
        (yaw_derivative(heading, 2, order=3), -MAX_YAW_ACCEL, MAX_YAW_ACCEL),
        (yaw_derivative(heading, 1), -MAX_YAW_RATE, MAX_YAW_RATE),
    ]


def within(signals: list[Bounded]) -> np.ndarray:
    """(N, 6) bool: which signals stay between their bounds all the time."""
    return np.stack([np.all((signal > low) & (signal < high), axis=-1) for signal, low, high in signals], -1)


def jerk(accel: np.ndarray, window: int) -> np.ndarray:
    """Derivative (N, T) of accelerations (N, T), which are smoothed first."""
    return smooth(smooth(accel, ACCEL_WINDOW), window, derivative=1)


def yaw_derivative(heading: np.ndarray, derivative: int, order: int = 2) -> np.ndarray:
    """Yaw rate (derivative 1) or yaw acceleration (2), (N, T), of headings (N, T) that may be wrapped."""
    return smooth(_unwrap(heading), YAW_WINDOW, order, derivative)


def smooth(signal: np.ndarray, window: int, order: int = 2, derivative: int = 0) -> np.ndarray:
    """Savitzky–Golay filter of (N, T) at 10 Hz, rounded as in NAVSIM."""
    return np.round(signal @ _filter_matrix(signal.shape[-1], window, order, derivative), DECIMALS)


@cache
def _filter_matrix(length: int, window: int, order: int, derivative: int) -> np.ndarray:
    """(T, T): the filter is linear, so its response to the unit signals is all of it."""
    return savgol_filter(np.eye(length), window, order, deriv=derivative, delta=STEP_S, axis=-1)


def _unwrap(heading: np.ndarray) -> np.ndarray:
    """Headings without jumps of 2π; numpy's unwrap differs at jumps of exactly π."""
    turns = np.zeros_like(heading)
    turns[..., 1:] = np.cumsum(np.round(np.diff(heading, axis=-1) / (2 * np.pi)), -1)
    return heading - 2 * np.pi * turns
