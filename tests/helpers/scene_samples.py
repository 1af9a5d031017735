"""Samples of scenes as a run stores them for its pictures, made of random numbers."""

from __future__ import annotations

import numpy as np


def samples(count: int, frames: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    feature = rng.random((count, frames, 8, 8))
    feature[0, : frames - 1] = np.nan  # no history
    line = np.cumsum(rng.random((count, 8, 3)), 1)
    return {
        "token": np.array([f"t{i}" for i in range(count)]),
        "camera": rng.integers(0, 255, (count, 16, 64, 3), dtype=np.uint8),
        "lidar": rng.random((count, frames, 32, 32)),
        "warped": rng.random((count, frames, 32, 32)),
        "feature": feature,
        "feature_warped": np.where(rng.random(feature.shape) > 0.8, np.nan, feature),
        "valid": ~np.isnan(feature).all((2, 3)),
        "bev_truth": rng.integers(0, 8, (count, 128, 256), dtype=np.uint8),
        "bev_predicted": rng.integers(0, 8, (count, 128, 256), dtype=np.uint8),
        "expert": line,
        "plan": line + 0.5,
        "all_trajectory": line[:, None] + rng.random((count, 5, 1, 3)),
        "final_rewards": rng.random((count, 5)),
    }
