"""Random batches of a model's size, on the CPU; without pytest, for benches on other machines."""

from __future__ import annotations

import torch
from official_weights import MICRO

from wotempo.planners.config import ModelConfig


def random_batch(
    config: ModelConfig = MICRO,
    samples: int = 3,
    window: int = 3,
    sampled: int = 1,
    seed: int = 1,
    runs: int = 1,
    whole: bool = False,
) -> dict:
    """``runs`` of adjacent windows that share frames; the first window has no history, unless they are ``whole``."""
    g = torch.Generator().manual_seed(seed)
    length = samples // runs
    start = torch.arange(samples).div(length, rounding_mode="floor") * (length + window - 1)
    frames = runs * (length + window - 1)
    valid = torch.ones(samples, window, dtype=torch.bool)
    valid[0, :-1] = whole
    age = torch.arange(window - 1, -1, -1.0)
    pose = torch.stack((-4.0 * age, 0.3 * age, -0.05 * age), -1).expand(samples, window, 3)
    classes, agents = config.num_bev_classes, config.num_agents

    def integers(high: int, *shape: int, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
        return torch.randint(0, high, shape, dtype=dtype, generator=g)

    return {
        "camera": integers(256, frames, 3, config.image_height, config.image_width),
        "lidar": integers(config.lidar_max + 1, frames, 1, *config.lidar_shape),
        "frame_index": (start + torch.arange(samples) % length)[:, None] + torch.arange(window),
        "valid": valid,
        "pose": pose * valid[..., None],
        "dt": age.expand(samples, window) / 2 * valid,
        "status": torch.randn(samples, config.status_size, generator=g),
        "trajectory": torch.randn(samples, 8, 3, generator=g) * 3,
        "imitation": torch.ones(samples, dtype=torch.bool),
        "agent_states": torch.randn(samples, agents, 5, generator=g) * 5,
        "agent_labels": torch.rand(samples, agents, generator=g) > 0.5,
        "bev_map": integers(classes, samples, *config.map_shape),
        "sampled_anchor": integers(config.num_anchors, samples, sampled, dtype=torch.int64),
        "future_map": integers(classes, samples, sampled, *config.map_shape),
        "sim_reward": torch.rand(samples, 5, config.num_anchors, generator=g),
        "tokens": [f"t{i}" for i in range(samples)],
    }
