"""The refinement head: how each anchor should be moved in this scene."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from wotempo.planners.backbone.encoder import wide
from wotempo.planners.heads.layers import mlp


class OffsetHead(nn.Module):
    """(B, N, C) -> (B, N, poses, 3): metres, and radians within ±π."""

    def __init__(self, d_model: int, hidden: int, num_poses: int) -> None:
        super().__init__()
        self.num_poses = num_poses
        self._mlp = mlp(d_model, hidden, 3 * num_poses)

    def forward(self, x: Tensor) -> Tensor:
        offset = wide(self._mlp(x)).unflatten(-1, (self.num_poses, 3))
        return torch.cat((offset[..., :2], math.pi * offset[..., 2:].tanh()), -1)
