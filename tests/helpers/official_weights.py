"""Official WoTE checkpoints of a small model, and what a batch for it looks like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wotempo.fusion import build_fusion
from wotempo.planners.config import ModelConfig, sizes
from wotempo.planners.wote.wote import WoTE

SMALL = replace(
    sizes("wote_tiny"),
    image_height=64,
    image_width=128,
    image_tokens=(2, 4),
    stage_channels=(16, 16, 32, 32),
    num_anchors=12,
    d_model=32,
    encoder_ffn=48,
    decoder_ffn=40,
    map_channels=16,
    num_agents=6,
    # As the official code has them, not as the small recipe.
    reward_weights=sizes("wote").reward_weights,
    evaluate_refined=True,
    head_init="published",
    channels_last=False,
)
MICRO = replace(
    SMALL, lidar_shape=(128, 128), bev_shape=(4, 4), map_channels=8, map_feature_shape=(16, 16), map_shape=(32, 64)
)
OFFICIAL = "agent.WoTE_model."


def weights(config: ModelConfig = SMALL, seed: int = 0) -> dict[str, Tensor]:
    """Random tensors under the published names, buffers and zero-initialised ones too."""
    g = torch.Generator().manual_seed(seed)
    anchors = torch.randn(config.num_anchors, config.num_poses, 3, generator=g) * 5
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = WoTE(config, anchors, build_fusion("none", config.bev_channels, config.bev_grid)).state_dict()
    for key, value in state.items():
        if value.is_floating_point() and key != "trajectory_anchors":
            noise = torch.randn(value.shape, generator=g) * 0.05
            value.add_(noise.abs() if key.endswith("running_var") else noise)
        elif not value.is_floating_point():
            value.fill_(9990)
    return dict(state)


def official_state(config: ModelConfig = SMALL, seed: int = 0) -> dict[str, Tensor]:
    return {OFFICIAL + key: value for key, value in weights(config, seed).items()}


def lightning_file(path: Path, state: Any, **more: Any) -> Path:
    """As the official training leaves it: its module keeps no hyperparameters."""
    loops = {"fit_loop": {"state_dict": {}}}
    optimiser = [{"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999)}]}]
    content = {"epoch": 29, "global_step": 19950, "pytorch-lightning_version": "2.2.1", "state_dict": state}
    torch.save({**content, "loops": loops, "callbacks": {}, "optimizer_states": optimiser, **more}, path)
    return path


def identical(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Bit for bit: names in their order, types, shapes, values."""

    def bits(state: dict[str, Tensor]) -> list[tuple]:
        return [(key, v.dtype, v.shape, v.contiguous().view(-1).view(torch.uint8)) for key, v in state.items()]

    pairs = list(zip(bits(a), bits(b), strict=True))
    return all(x[:3] == y[:3] and torch.equal(x[3], y[3]) for x, y in pairs)


def batch(config: ModelConfig = SMALL, samples: int = 2) -> dict[str, Any]:
    """Single-frame windows, as far as planning reads them."""
    g = torch.Generator().manual_seed(5)
    image = (samples, 3, config.image_height, config.image_width)
    return {
        "camera": torch.randint(0, 256, image, dtype=torch.uint8, generator=g),
        "lidar": torch.randint(0, 6, (samples, 1, *config.lidar_shape), dtype=torch.uint8, generator=g),
        "frame_index": torch.arange(samples)[:, None],
        "valid": torch.ones(samples, 1, dtype=torch.bool),
        "pose": torch.zeros(samples, 1, 3),
        "dt": torch.zeros(samples, 1),
        "status": torch.randn(samples, config.status_size, generator=g),
    }
