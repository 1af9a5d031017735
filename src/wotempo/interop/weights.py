"""The weights of a single-frame WoTE between two kinds of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wotempo.configs import values
from wotempo.errors import UserError
from wotempo.navsim import fingerprint
from wotempo.planners.config import ModelConfig
from wotempo.planners.registry import build_planner

NO_FUSION = values("fusion/none")
ANCHORS = "trajectory_anchors"


@dataclass(frozen=True)
class WoTEWeights:
    """Sizes and mode, and all tensors under the published names (``trajectory_anchors``, ``_backbone.…``), as they were
    in ``source``: values, dtypes and order. epoch, global_step: how long they were trained, 0 where it does not say."""

    config: ModelConfig
    tensors: dict[str, Tensor]
    source: Path
    epoch: int = 0
    global_step: int = 0

    @property
    def anchors(self) -> np.ndarray:
        """(N, 8, 3) float32."""
        return self.tensors[ANCHORS].float().numpy()

    @property
    def anchors_fingerprint(self) -> str:
        return fingerprint(self.anchors)


def wanted_tensors(config: ModelConfig, prefix: str) -> dict[str, Tensor]:
    """Every entry of a single-frame WoTE's state dict under ``prefix``, without values."""
    anchors = np.zeros((config.num_anchors, config.num_poses, 3), np.float32)
    with torch.device("meta"):
        state = build_planner("wote", config, NO_FUSION, anchors).state_dict()
    return {prefix + key: value for key, value in state.items()}


def without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors under their published names. Detached: a file may hold parameters, which numpy refuses."""
    return {key.removeprefix(prefix): value.detach() for key, value in state.items()}


def check_anchors(path: Path, anchors: Any, config: ModelConfig) -> None:
    """UserError where the file has another number of anchors than ``config``, or rounded ones."""
    if not isinstance(anchors, Tensor) or anchors.shape[1:] != (config.num_poses, 3):
        return  # to be named with the other differences
    if len(anchors) != config.num_anchors:
        raise UserError(
            f"{path} has {len(anchors)} anchors, the configuration {config.num_anchors}: set num_anchors={len(anchors)}"
        )
    if anchors.dtype in (torch.float16, torch.bfloat16):
        raise UserError(
            f"{path} holds its anchors as {anchors.dtype}, so they are not those that labels and weights were made "
            "with: give the file with float32 anchors"
        )
