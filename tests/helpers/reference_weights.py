"""Weights and inputs that two implementations can agree on without exchanging a file: each tensor is drawn from a
generator seeded with the CRC-32 of its state-dict key. The arrays in ``tests/golden/wote`` belong to exactly these."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import torch
from torch import Tensor

SAMPLES, ANCHORS = 2, 256


def anchors() -> np.ndarray:
    """(256, 8, 3) arcs of random speed and curvature."""
    g = np.random.default_rng(20250501)
    speed, curvature = g.uniform(0, 15, ANCHORS), g.normal(0, 0.05, ANCHORS)
    path = speed[:, None] * (np.arange(1, 9) / 2)
    heading = curvature[:, None] * path / 3
    return np.stack((path * np.cos(heading / 2), path * np.sin(heading / 2), heading), -1).astype(np.float32)


def weights(shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """A state dict for these keys and shapes: fan-in scaled normals, norm layers near the identity."""
    return {key: torch.from_numpy(np.array(_tensor(key, tuple(shape)))) for key, shape in shapes.items()}


def _tensor(key: str, shape: tuple[int, ...]) -> np.ndarray:
    if key == "trajectory_anchors":
        return anchors()
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    normal = np.random.default_rng(crc32(key.encode())).standard_normal(shape).astype(np.float32)
    if key.endswith("running_var"):
        return 1 + 0.1 * np.abs(normal)
    if key.endswith("running_mean"):
        return 0.1 * normal
    if key.endswith("bias"):
        return 0.02 * normal
    if len(shape) == 1:
        return 1 + 0.1 * normal
    return (normal / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def inputs() -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    """camera (2, 3, 256, 1024), lidar (2, 1, 256, 256), status (2, 8), and targets under the batch's names."""
    g = np.random.default_rng(7)  # the order of the draws is part of the reference
    camera = g.random((SAMPLES, 3, 256, 1024), dtype=np.float32)
    lidar = (g.random((SAMPLES, 1, 256, 256), dtype=np.float32) > 0.9).astype(np.float32)
    status = g.standard_normal((SAMPLES, 8)).astype(np.float32)
    targets = {
        "trajectory": g.standard_normal((SAMPLES, 8, 3)).astype(np.float32) * 5,
        "sim_reward": g.random((SAMPLES, 5, ANCHORS), dtype=np.float32),
        "agent_states": g.standard_normal((SAMPLES, 30, 5)).astype(np.float32),
        "imitation": np.ones(SAMPLES, bool),
        "agent_labels": g.random((SAMPLES, 30)) > 0.5,
        "bev_map": g.integers(0, 8, (SAMPLES, 128, 256)),
        "sampled_anchor": g.integers(0, ANCHORS, (SAMPLES, 1)),
        "future_map": g.integers(0, 8, (SAMPLES, 1, 128, 256)),
    }
    tensors = {name: torch.from_numpy(value) for name, value in targets.items()}
    return torch.from_numpy(camera), torch.from_numpy(lidar), torch.from_numpy(status), tensors
