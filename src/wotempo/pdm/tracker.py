"""LQR tracker: speed and curvature profiles of a reference, and the command of one step (pdm_score.md §3.1, §3.2).

The profiles are ridge regressions. Both have a structure that makes them cheap: the speed fit is one constant matrix,
because displacements are projected on unit headings; the curvature fit is tridiagonal.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import njit

from wotempo.geometry.pose import wrap_angle
from wotempo.pdm.states import HEADING, NUM_STEPS, STEP_S, WHEEL_BASE

HORIZON = 10  # steps of look-ahead
NUM_DISPLACEMENTS = NUM_STEPS - 1
SPEED_PENALTY = 1e-4
CURVATURE_RATE_PENALTY = 1e-2
INITIAL_CURVATURE_PENALTY = 1e-10
SPEED_WEIGHT, LATERAL_WEIGHT, HEADING_WEIGHT = 10.0, 1.0, 10.0
STOP_SPEED, STOP_GAIN = 0.2, 0.5


def profiles(reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Speed (N, 40) m/s and curvature (N, 40) 1/m that best explain reference poses (N, 41, 3)."""
    heading = reference[:, :-1, HEADING]
    step = np.diff(reference, axis=1)
    along = step[..., 0] * np.cos(heading) + step[..., 1] * np.sin(heading)
    speed = along @ _speed_matrix().T
    return speed, _fit_curvature(speed, wrap_angle(step[..., HEADING]))


@cache
def _speed_matrix() -> np.ndarray:
    """(40, 40): displacements along the heading -> fitted speeds. Unknowns are the first speed and 39 accelerations."""
    m = NUM_DISPLACEMENTS
    integrate = np.tril(np.full((m, m), STEP_S), 0)  # unknowns -> speeds
    integrate[:, 0] = 1.0
    displace = STEP_S * integrate
    # NAVSIM means to penalise differences of acceleration, but writes −1 and +1 into overlapping slices: what remains
    # is −a_0 … −a_37, and +a_38 in the last row. Official scores contain this.
    penalty = np.zeros((m - 2, m))
    penalty[:, 1:-1] = -np.eye(m - 2)
    penalty[-1, -1] = 1.0
    return integrate @ np.linalg.solve(displace.T @ displace + SPEED_PENALTY * penalty.T @ penalty, displace.T)


@njit(cache=True)
def _fit_curvature(speed: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Curvature (N, 40) from speeds and heading changes (N, 40): one tridiagonal solve (Thomas) per row."""
    rows, m = speed.shape
    stiffness = CURVATURE_RATE_PENALTY / STEP_S**2
    curvature = np.empty((rows, m))
    upper = np.empty(m)
    for n in range(rows):
        for k in range(m):
            inner = 2.0 if 0 < k < m - 1 else 1.0
            diagonal = (STEP_S * speed[n, k]) ** 2 + inner * stiffness
            target = STEP_S * speed[n, k] * turn[n, k]
            if k == 0:
                diagonal += INITIAL_CURVATURE_PENALTY
            else:
                diagonal += stiffness * upper[k - 1]
                target += stiffness * curvature[n, k - 1]
            upper[k] = -stiffness / diagonal
            curvature[n, k] = target / diagonal
        for k in range(m - 2, -1, -1):
            curvature[n, k] -= upper[k] * curvature[n, k + 1]
    return curvature


@njit(cache=True)
def command(
    t: int, state: np.ndarray, pose: np.ndarray, speed: np.ndarray, curvature: np.ndarray
) -> tuple[float, float]:
    """Acceleration (m/s²) and steering rate (rad/s) at step t, from a state (11,), the reference pose (3,) of that step
    and the profiles (40,)."""
    ahead = min(t + HORIZON, NUM_DISPLACEMENTS - 1)
    current, wanted = state[3], speed[ahead]
    if wanted <= STOP_SPEED and current <= STOP_SPEED:
        return -STOP_GAIN * (current - wanted), 0.0
    reach = HORIZON * STEP_S
    accel = -reach * SPEED_WEIGHT * (current - wanted) / (reach * reach * SPEED_WEIGHT + 1.0)

    dx, dy = state[0] - pose[0], state[1] - pose[1]
    lateral = -dx * np.sin(pose[2]) + dy * np.cos(pose[2])
    error = state[2] - pose[2]
    heading = np.arctan2(np.sin(error), np.cos(error))
    # The errors after HORIZON steps are affine in the steering rate: carry the free motion and the response to rate 1.
    lateral_gain = heading_gain = steering_gain = 0.0
    for k in range(HORIZON):
        advance = STEP_S * (current + k * STEP_S * accel)
        lateral += advance * heading
        heading += advance * (state[7] / WHEEL_BASE - curvature[min(t + k, ahead)])
        lateral_gain += advance * heading_gain
        heading_gain += advance * steering_gain / WHEEL_BASE
        steering_gain += STEP_S
    heading = np.arctan2(np.sin(heading), np.cos(heading))
    numerator = LATERAL_WEIGHT * lateral_gain * lateral + HEADING_WEIGHT * heading_gain * heading
    return accel, -numerator / (LATERAL_WEIGHT * lateral_gain**2 + HEADING_WEIGHT * heading_gain**2 + 1.0)
