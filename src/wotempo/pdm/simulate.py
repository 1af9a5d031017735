"""Roll-out of proposals: tracker and kinematic bicycle at 10 Hz for 4 s (pdm_score.md §3)."""

from __future__ import annotations

import numpy as np
from numba import njit

from wotempo.pdm.reference import reference_poses
from wotempo.pdm.states import NUM_STEPS, STATE_SIZE, STEP_S, WHEEL_BASE
from wotempo.pdm.tracker import command, profiles

ACCEL_LAG = STEP_S / (STEP_S + 0.2)  # first-order low pass of the commands
STEERING_LAG = STEP_S / (STEP_S + 0.05)
MAX_STEERING = np.pi / 3


def simulate(ego0: np.ndarray, poses: np.ndarray, interval_s: float = 0.5, start_us: int = 0) -> np.ndarray:
    """What the vehicle does when it is asked to follow proposals.

    ego0: (11,) global start state. poses: (N, K, 3) in the frame of ``ego0`` every ``interval_s``; ``start_us`` as in
    `reference_poses`. Returns states (N, 41, 11) float64, global; row 0 is ``ego0``.
    """
    reference = reference_poses(ego0, poses, interval_s, start_us)
    speed, curvature = profiles(reference)
    return _roll_out(np.asarray(ego0, np.float64), reference, speed, curvature)


@njit(cache=True)
def _roll_out(ego0: np.ndarray, reference: np.ndarray, speed: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    states = np.empty((len(reference), NUM_STEPS, STATE_SIZE))
    for n in range(len(reference)):
        states[n, 0] = ego0
        for t in range(NUM_STEPS - 1):
            accel, rate = command(t, states[n, t], reference[n, t], speed[n], curvature[n])
            _advance(states[n, t], accel, rate, states[n, t + 1])
    return states


@njit(cache=True)
def _advance(state: np.ndarray, accel_command: float, rate_command: float, out: np.ndarray) -> None:
    """One Euler step: position and heading move with the *old* speed and steering."""
    speed, steering = state[3], state[7]
    accel = state[5] + ACCEL_LAG * (accel_command - state[5])
    rate = STEERING_LAG * rate_command
    heading = state[2] + STEP_S * speed * np.tan(steering) / WHEEL_BASE
    out[0] = state[0] + STEP_S * speed * np.cos(state[2])
    out[1] = state[1] + STEP_S * speed * np.sin(state[2])
    out[2] = np.arctan2(np.sin(heading), np.cos(heading))
    out[3] = speed + STEP_S * accel
    out[4] = 0.0
    out[5] = accel
    out[6] = 0.0
    out[7] = min(max(steering + STEP_S * rate, -MAX_STEERING), MAX_STEERING)
    out[8] = rate
    out[9] = out[3] * np.tan(out[7]) / WHEEL_BASE
    out[10] = (out[9] - state[9]) / STEP_S
