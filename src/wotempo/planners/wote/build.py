"""WoTE from plain data: what a checkpoint stores is enough to build it again."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from wotempo.fusion import build_fusion, level_of
from wotempo.planners.config import ModelConfig
from wotempo.planners.wote.wote import WoTE


def build_wote(config: ModelConfig, fusion: dict[str, Any], anchors: np.ndarray | None) -> WoTE:
    """``fusion``: the stage's ``name``, ``level`` and constructor keywords. ``anchors`` (N, 8, 3), of the run or of the
    checkpoint that will be loaded (there they are ``trajectory_anchors``): the weights are worth nothing with others.
    """
    if anchors is None:
        raise ValueError("a WoTE is built with its anchors: the run's, or the checkpoint's trajectory_anchors")
    # The stage draws from a stream of its own: the rest starts from the same weights whichever stage is chosen.
    channels, grid = config.level(level_of(fusion))
    with torch.random.fork_rng(devices=[]):
        stage = build_fusion(channels=channels, grid=grid, **fusion)
    return WoTE(config, torch.as_tensor(anchors), stage)
