"""History comfort: the simulated motion, continued backwards by what the human drove, is comfortable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wotempo.geometry.pose import wrap_angle
from wotempo.navsim.schema import Frame
from wotempo.pdm.comfort import ACCEL_WINDOW, Bounded, bounded_signals, within
from wotempo.pdm.states import (
    ACCEL,
    ACCEL_Y,
    HEADING,
    REAR_AXLE_TO_CENTRE,
    STEP_S,
    YAW_ACCEL,
    YAW_RATE,
    ego_state,
)

JERK_WINDOW = 15  # samples


def history_states(frames: Sequence[Frame]) -> np.ndarray:
    """States (H, 11) every 0.1 s from the first of ``frames`` (the last is the current one) to about 0.2 s before now.

    Frames are 0.5 s apart give or take some microseconds: whether there are 14 or 15 samples in 1.5 s depends on these.
    As in NAVSIM, steering and yaw rates are 0 and the last sample, which lies on or just before t = 0, is dropped.
    """
    knots = np.stack([ego_state(frame) for frame in frames])
    knots[:, HEADING] = np.unwrap(knots[:, HEADING])
    first_us = frames[0].timestamp_us
    knot_us = np.array([frame.timestamp_us - first_us for frame in frames], np.float64)
    sample_us = np.arange(0, knot_us[-1], STEP_S * 1e6)[:-1]
    states = np.stack([np.interp(sample_us, knot_us, column) for column in knots.T], -1)
    states[:, HEADING] = wrap_angle(states[:, HEADING])
    return states


def history_comfort(states: np.ndarray, history: np.ndarray | None) -> np.ndarray:
    """1 or 0, (N,), from states (N, 41, 11) and history (H, 11); 1 without history."""
    if history is None:
        return np.ones(len(states))
    return np.asarray(within(history_signals(states, history)).all(-1), np.float64)


def history_signals(states: np.ndarray, history: np.ndarray) -> list[Bounded]:
    """In the order of ``comfort.SIGNALS``, (N, H + 41) each, from states (N, 41, 11) and history (H, 11)."""
    motion = np.concatenate((np.broadcast_to(history, (len(states), *history.shape)), states), 1)
    # NAVSIM moves accelerations to the box's centre with +ω² along the lever where mechanics has −ω², and adds the yaw
    # acceleration, which acts sideways, along it too.
    shift = REAR_AXLE_TO_CENTRE * (motion[..., YAW_RATE] ** 2 + motion[..., YAW_ACCEL])
    accel, accel_y = motion[..., ACCEL], motion[..., ACCEL_Y]
    return bounded_signals(
        accel + shift, accel_y, np.hypot(accel, accel_y), motion[..., HEADING], ACCEL_WINDOW, JERK_WINDOW
    )
