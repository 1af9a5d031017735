"""WoTE from plain data: what a checkpoint stores is enough to build it again."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from wotempo.fusion import build_fusion
from wotempo.model.config import WoTEConfig
from wotempo.model.wote import WoTE


def build_wote(config: WoTEConfig, fusion: dict[str, Any], anchors: np.ndarray | None = None) -> WoTE:
    """``fusion``: the stage's ``name`` and constructor keywords. ``anchors`` (N, 8, 3); None leaves zeros for a
    checkpoint to fill."""
    stage = build_fusion(channels=config.bev_channels, grid=config.bev_grid, **fusion)
    if anchors is None:
        anchors = np.zeros((config.num_anchors, 8, 3), np.float32)
    return WoTE(config, torch.as_tensor(anchors), stage)
