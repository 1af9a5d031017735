"""Boxes of the vehicles around: an auxiliary head whose loss weighs nothing in the published recipe."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from wotempo.geometry import BevGrid
from wotempo.planners.backbone.encoder import wide
from wotempo.planners.heads.layers import mlp


class AgentHead(nn.Module):
    """(B, A, C) -> states (B, A, 5) x, y, heading, length, width and logits (B, A) that the agent exists."""

    def __init__(self, d_model: int, hidden: int, grid: BevGrid) -> None:
        super().__init__()
        self.half_extents = grid.half
        self._mlp_states = mlp(d_model, hidden, 5)
        self._mlp_label = nn.Sequential(nn.Linear(d_model, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        states = wide(self._mlp_states(x))
        extents = torch.tensor((*self.half_extents, math.pi), dtype=states.dtype)
        scale = extents.to(states.device, non_blocking=True)  # the host does not wait for the device
        return torch.cat((scale * states[..., :3].tanh(), states[..., 3:]), -1), wide(self._mlp_label(x)).squeeze(-1)
