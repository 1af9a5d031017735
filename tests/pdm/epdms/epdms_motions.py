"""Made-up pairs of motions for extended comfort; numpy only, so that the official code's Python can make them too."""

from __future__ import annotations

import numpy as np

HEADING, ACCEL, STATE_SIZE, NUM_STEPS = 2, 5, 11, 41
EXACT = (1 - 1e-6, 1.0, 1 + 1e-6)  # signals are rounded to 8 decimals
SCALED = (1 - 2e-6, 1 - 1e-6, 1 + 1e-6)
JERK_SCALE, YAW_ACCEL_SCALE = 0.5 / 1.001752029, 0.1 / 2.650103509  # unit motions have these RMS differences


def bounds_of_extended_comfort() -> tuple[np.ndarray, np.ndarray]:
    """Pairs (now, before), each (12, 41, 11): one signal's RMS difference is its bound times FACTORS.

    Order: acceleration 0.7, jerk 0.5, yaw rate 0.1, yaw acceleration 0.1, three rows each. The first and third signal
    are constant and meet their bound exactly; the others pass through the filters' ends, hence their scale.
    """
    time = 0.1 * np.arange(NUM_STEPS)
    now, before = np.zeros((2, 12, NUM_STEPS, STATE_SIZE))
    now[:, :, ACCEL] = before[:, :, ACCEL] = 1.0
    now[3:6, :, ACCEL] = before[3:6, :, ACCEL] = 3.0  # the ramps below stay positive: its size is what counts
    for k in range(3):
        now[k, :, ACCEL] += 0.7 * EXACT[k]
        now[3 + k, :, ACCEL] += JERK_SCALE * SCALED[k] * (time - 1.75)
        now[6 + k, :, HEADING] = 0.1 * EXACT[k] * time
        now[9 + k, :, HEADING] = YAW_ACCEL_SCALE * SCALED[k] * np.sin(2 * time)
    return now, before


def random_pairs() -> tuple[np.ndarray, np.ndarray]:
    """200 pairs (200, 41, 11) from identical to strongly different, some of them with headings across ±π."""
    rng = np.random.default_rng(7)
    walk = rng.normal(size=(2, 200, NUM_STEPS + 5, 2)) * [0.15, 0.01]
    smooth = np.cumsum(walk, axis=2)
    scale = np.linspace(0, 2, 200)[:, None, None]
    base, other = smooth[0], smooth[0] + scale * smooth[1]
    now, before = np.zeros((2, 200, NUM_STEPS, STATE_SIZE))
    before[..., ACCEL], now[..., ACCEL] = base[:, :-5, 0], other[:, 5:, 0]
    start = rng.choice([0.0, np.pi, -3.1], 200)[:, None]
    for states, heading in ((before, base[:, :-5, 1]), (now, other[:, 5:, 1])):
        heading = np.cumsum(heading, -1) * 0.1 + start
        states[..., HEADING] = np.arctan2(np.sin(heading), np.cos(heading))
    now[..., ACCEL + 1] = before[..., ACCEL + 1] = 0.0
    now[:, 0, ACCEL + 1] = rng.normal(size=200) * scale[:, 0, 0]
    return now, before


def gaps() -> tuple[float, ...]:
    """Seconds between frames: the logs' own, and others that NAVSIM accepts."""
    return (0.499999, 0.5, 0.500003, 0.1, 0.34, 0.549)
