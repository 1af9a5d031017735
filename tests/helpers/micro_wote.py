"""Fixtures of a WoTE of a few hundred thousand parameters and of batches for it, which conftests import."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from official_weights import MICRO
from random_batches import random_batch

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


@pytest.fixture
def make_batch() -> Callable[..., dict]:
    return random_batch
