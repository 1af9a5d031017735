"""The speed and curvature profiles that the LQR tracker derives from a reference before it starts.

The profiles are ridge regressions. Both have a structure that makes them cheap: the speed fit is one constant matrix,
because displacements are projected on unit headings; the curvature fit is tridiagonal.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import njit

from wotempo.geometry.pose import wrap_angle
from wotempo.pdm.states import HEADING, NUM_STEPS, STEP_S

NUM_DISPLACEMENTS = NUM_STEPS - 1
SPEED_PENALTY = 1e-4
CURVATURE_RATE_PENALTY = 1e-2
INITIAL_CURVATURE_PENALTY = 1e-10


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
