"""The 10 Hz reference that the tracker follows, interpolated from an agent's poses."""

from __future__ import annotations

import numpy as np

from wotempo.geometry.pose import compose, wrap_angle
from wotempo.pdm.states import HEADING, NUM_STEPS, STEP_S


def reference_poses(ego0: np.ndarray, poses: np.ndarray, interval_s: float = 0.5, start_us: int = 0) -> np.ndarray:
    """Global poses at t = 0, 0.1 … 4.0 s.

    ego0: (11,) start state. poses: (N, K, 3) x, y, heading of the rear axle in the frame of ``ego0``, at interval_s,
    2·interval_s, … ; a horizon below 4 s freezes at its last pose, one beyond 4 s is cut. start_us: timestamp of the
    frame; NAVSIM truncates absolute times to microseconds, which shifts samples by up to 1 µs (1e-5 m at 10 m/s), so
    it is needed to reproduce official numbers to 1e-6. For the same reason seconds are microseconds times 1e-6 as
    there: divided by 1e6 they are other floats at times, and then other microseconds.
    Returns (N, 41, 3) float64, heading wrapped.
    """
    poses = np.asarray(poses, np.float64)
    if poses.ndim != 3 or poses.shape[1] < 1 or poses.shape[2] != 3:
        raise ValueError(f"poses must be (N, K, 3), not {poses.shape}")
    start = ego0[: HEADING + 1]
    knots = np.concatenate((np.broadcast_to(start, (len(poses), 1, 3)), compose(start, poses)), 1)
    knot_s = np.arange(poses.shape[1]) * interval_s + interval_s + start_us * 1e-6
    return resample(knots, np.concatenate(([0], (knot_s * 1e6).astype(np.int64) - start_us)), start_us)


def resample(knots: np.ndarray, knot_us: np.ndarray, start_us: int) -> np.ndarray:
    """Poses (N, 41, 3) at t = 0, 0.1 … 4.0 s, linear between knots (N, K, 3).

    knot_us: (K,) int times of the knots, relative to start_us. Samples are truncated as `reference_poses` says.
    """
    knots = np.array(knots, np.float64)
    knots[..., HEADING] = np.unwrap(knots[..., HEADING], axis=1)
    sample_us = ((np.arange(NUM_STEPS) * STEP_S + start_us * 1e-6) * 1e6).astype(np.int64) - start_us
    sample_us = np.clip(sample_us, 0, knot_us[-1])
    after = np.clip(np.searchsorted(knot_us, sample_us), 1, len(knot_us) - 1)
    before = after - 1
    weight = ((sample_us - knot_us[before]) / (knot_us[after] - knot_us[before]))[:, None]
    reference = knots[:, before] + weight * (knots[:, after] - knots[:, before])
    reference[..., HEADING] = wrap_angle(reference[..., HEADING])
    return reference
