"""The ego's state vector, its box, and where both come from.

Numba kernels of other files bake these constants in: after a change, delete the ``__pycache__`` beside.
"""

from __future__ import annotations

import numpy as np

from wotempo.navsim.schema import Frame

# Columns of a state, shape (..., 11). Pose and motion belong to the *rear axle*; units m, s, rad; global frame.
X, Y, HEADING, SPEED, SPEED_Y, ACCEL, ACCEL_Y, STEERING, STEERING_RATE, YAW_RATE, YAW_ACCEL = range(11)
STATE_SIZE = 11

STEP_S = 0.1
NUM_STEPS = 41  # t = 0, 0.1 … 4.0 s

# The nuPlan vehicle (Chrysler Pacifica), metres.
WHEEL_BASE = 3.089
HALF_LENGTH = 5.176 / 2
HALF_WIDTH = 2.297 / 2
REAR_AXLE_TO_CENTRE = 1.461

# Order of the box points, as in every array (..., 5, 2) of this package.
FRONT_LEFT, REAR_LEFT, REAR_RIGHT, FRONT_RIGHT, CENTRE = range(5)


def ego_state(frame: Frame) -> np.ndarray:
    """State (11,) at which every simulation of this frame starts; steering and yaw rate are 0, as in NAVSIM.

    Velocity and acceleration pass through float32 because NAVSIM stores them so; the difference, 1e-7 relative, is
    visible when results are compared with the official ones.
    """
    state = np.zeros(STATE_SIZE)
    state[: HEADING + 1] = frame.pose
    state[SPEED : SPEED_Y + 1] = np.asarray(frame.velocity, np.float32)
    state[ACCEL : ACCEL_Y + 1] = np.asarray(frame.acceleration, np.float32)
    return state


def centre_of(state: np.ndarray) -> np.ndarray:
    """Centre of the ego's box, (..., 2), from states or poses (..., ≥3)."""
    heading = state[..., HEADING]
    return state[..., :HEADING] + REAR_AXLE_TO_CENTRE * np.stack((np.cos(heading), np.sin(heading)), -1)


def box_points(states: np.ndarray) -> np.ndarray:
    """The four corners and the centre, (..., 5, 2), from states (..., ≥3)."""
    x, y, heading = states[..., X], states[..., Y], states[..., HEADING]
    cos, sin = np.cos(heading), np.sin(heading)
    points = np.empty((*heading.shape, 5, 2))
    for k, (along, across) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1), (0, 0))):
        forward, left = REAR_AXLE_TO_CENTRE + HALF_LENGTH * along, HALF_WIDTH * across
        points[..., k, 0] = x + forward * cos - left * sin
        points[..., k, 1] = y + forward * sin + left * cos
    return points
