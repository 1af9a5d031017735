"""Fixtures of a WoTE of a few hundred thousand parameters and of batches for it, which conftests import."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from official_weights import MICRO

from wotempo.fusion import build_fusion
from wotempo.planners.config import ModelConfig
from wotempo.planners.wote.wote import WoTE


@pytest.fixture
def micro() -> ModelConfig:
    return MICRO


@pytest.fixture
def make_model() -> Callable[..., WoTE]:
    """``make_model(config, stage, num_frames)``: all parameters and statistics random, zero-initialised ones too."""

    def make(config: ModelConfig = MICRO, stage: str = "none", num_frames: int = 1, seed: int = 0) -> WoTE:
        g = torch.Generator().manual_seed(seed)
        speed = torch.linspace(0, 12, config.num_anchors)[:, None] * torch.arange(1, 9) / 2
        bend = torch.randn(config.num_anchors, 1, generator=g) * 0.02 * speed
        anchors = torch.stack((speed, bend * speed / 2, bend), -1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = WoTE(config, anchors, build_fusion(stage, config.bev_channels, config.bev_grid, num_frames))
        # The fusion stage last, as where it was registered when the figures of these tests were chosen.
        for name, tensor in sorted(model.state_dict().items(), key=lambda item: item[0].startswith("fusion.")):
            if name == "trajectory_anchors" or not tensor.is_floating_point():
                continue
            noise = torch.randn(tensor.shape, generator=g)
            if name.endswith("running_var"):
                tensor.copy_(1 + 0.1 * noise.abs())
            elif tensor.ndim == 1 and name.endswith("weight"):
                tensor.copy_(1 + 0.1 * noise)
            elif tensor.ndim > 1:
                tensor.add_(noise / tensor[0].numel() ** 0.5)
            else:
                tensor.add_(0.1 * noise)
        return model

    return make


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
        "agent_states": torch.randn(samples, agents, 5, generator=g) * 5,
        "agent_labels": torch.rand(samples, agents, generator=g) > 0.5,
        "bev_map": integers(classes, samples, *config.map_shape),
        "sampled_anchor": integers(config.num_anchors, samples, sampled, dtype=torch.int64),
        "future_map": integers(classes, samples, sampled, *config.map_shape),
        "sim_reward": torch.rand(samples, 5, config.num_anchors, generator=g),
        "tokens": [f"t{i}" for i in range(samples)],
    }


@pytest.fixture
def make_batch() -> Callable[..., dict]:
    return random_batch
