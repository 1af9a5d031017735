"""Roll-out of proposals: LQR tracker and kinematic bicycle at 10 Hz for 4 s.

All kernels of the roll-out stand in this file because numba renews a cached kernel when its own file changes, but not
when a kernel or a constant that it took from elsewhere does.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from wotempo.pdm.reference import reference_poses
from wotempo.pdm.states import (
    ACCEL,
    ACCEL_Y,
    HEADING,
    NUM_STEPS,
    SPEED,
    SPEED_Y,
    STATE_SIZE,
    STEERING,
    STEERING_RATE,
    STEP_S,
    WHEEL_BASE,
    YAW_ACCEL,
    YAW_RATE,
    X,
    Y,
)
from wotempo.pdm.tracker import NUM_DISPLACEMENTS, profiles

HORIZON = 10  # steps of look-ahead
SPEED_WEIGHT, LATERAL_WEIGHT, HEADING_WEIGHT = 10.0, 1.0, 10.0
STOP_SPEED, STOP_GAIN = 0.2, 0.5
ACCEL_LAG = STEP_S / (STEP_S + 0.2)  # first-order low pass of the commands
STEERING_LAG = STEP_S / (STEP_S + 0.05)
MAX_STEERING = np.pi / 3


def simulate(ego0: np.ndarray, poses: np.ndarray, interval_s: float = 0.5, start_us: int = 0) -> np.ndarray:
    """What the vehicle does when it is asked to follow proposals.

    ego0: (11,) global start state. poses: (N, K, 3) in the frame of ``ego0`` every ``interval_s``; ``start_us`` as in
    `reference_poses`. Returns states (N, 41, 11) float64, global; row 0 is ``ego0``.
    """
    return track(ego0, reference_poses(ego0, poses, interval_s, start_us))


def track(ego0: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """What the vehicle does, (N, 41, 11) as in `simulate`, when it tracks global reference poses (N, 41, 3)."""
    speed, curvature = profiles(reference)
    return _roll_out(np.asarray(ego0, np.float64), reference, speed, curvature)


@njit(cache=True)
def _roll_out(ego0: np.ndarray, reference: np.ndarray, speed: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    states = np.empty((len(reference), NUM_STEPS, STATE_SIZE))
    for n in range(len(reference)):
        states[n, 0] = ego0
        for t in range(NUM_STEPS - 1):
            accel, rate = _command(t, states[n, t], reference[n, t], speed[n], curvature[n])
            _advance(states[n, t], accel, rate, states[n, t + 1])
    return states


@njit(cache=True)
def _command(
    t: int, state: np.ndarray, pose: np.ndarray, speed: np.ndarray, curvature: np.ndarray
) -> tuple[float, float]:
    """Acceleration (m/s²) and steering rate (rad/s) at step t, from a state (11,), the reference pose (3,) of that step
    and the profiles (40,)."""
    ahead = min(t + HORIZON, NUM_DISPLACEMENTS - 1)
    current, wanted = state[SPEED], speed[ahead]
    if wanted <= STOP_SPEED and current <= STOP_SPEED:
        return -STOP_GAIN * (current - wanted), 0.0
    reach = HORIZON * STEP_S
    accel = -reach * SPEED_WEIGHT * (current - wanted) / (reach * reach * SPEED_WEIGHT + 1.0)

    dx, dy = state[X] - pose[X], state[Y] - pose[Y]
    lateral = -dx * np.sin(pose[HEADING]) + dy * np.cos(pose[HEADING])
    error = state[HEADING] - pose[HEADING]
    heading = np.arctan2(np.sin(error), np.cos(error))
    # The errors after HORIZON steps are affine in the steering rate: carry the free motion and the response to rate 1.
    lateral_gain = heading_gain = steering_gain = 0.0
    for k in range(HORIZON):
        advance = STEP_S * (current + k * STEP_S * accel)
        lateral += advance * heading
        heading += advance * (state[STEERING] / WHEEL_BASE - curvature[min(t + k, ahead)])
        lateral_gain += advance * heading_gain
        heading_gain += advance * steering_gain / WHEEL_BASE
        steering_gain += STEP_S
    heading = np.arctan2(np.sin(heading), np.cos(heading))
    numerator = LATERAL_WEIGHT * lateral_gain * lateral + HEADING_WEIGHT * heading_gain * heading
    return accel, -numerator / (LATERAL_WEIGHT * lateral_gain**2 + HEADING_WEIGHT * heading_gain**2 + 1.0)


@njit(cache=True)
def _advance(state: np.ndarray, accel_command: float, rate_command: float, out: np.ndarray) -> None:
    """One Euler step: position and heading move with the *old* speed and steering."""
    speed, steering = state[SPEED], state[STEERING]
    accel = state[ACCEL] + ACCEL_LAG * (accel_command - state[ACCEL])
    rate = STEERING_LAG * rate_command
    heading = state[HEADING] + STEP_S * speed * np.tan(steering) / WHEEL_BASE
    out[X] = state[X] + STEP_S * speed * np.cos(state[HEADING])
    out[Y] = state[Y] + STEP_S * speed * np.sin(state[HEADING])
    out[HEADING] = np.arctan2(np.sin(heading), np.cos(heading))
    out[SPEED] = speed + STEP_S * accel
    out[SPEED_Y] = 0.0
    out[ACCEL] = accel
    out[ACCEL_Y] = 0.0
    out[STEERING] = min(max(steering + STEP_S * rate, -MAX_STEERING), MAX_STEERING)
    out[STEERING_RATE] = rate
    out[YAW_RATE] = out[SPEED] * np.tan(out[STEERING]) / WHEEL_BASE
    out[YAW_ACCEL] = (out[YAW_RATE] - state[YAW_RATE]) / STEP_S
