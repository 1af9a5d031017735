"""The BEV world model: what the scene becomes if the ego drives each trajectory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wotempo.model.action import inject


def roll_out(
    encoder: nn.Module, position: Tensor, start: Tensor, action: Tensor, splats: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Imagines K steps, one and the same network for each.

    position (1+L, C) embedding of [action, map] · start (B, N, L, C) current map with the action in it ·
    action (B, N, C) · splats (K, N, L) where each step's action belongs
    -> K future maps (B, N, L, C) and K future actions (B, N, C).
    """
    b, n = action.shape[:2]
    maps, actions = [], []
    bev = start
    for weights_nl in splats:
        tokens = torch.cat((action[:, :, None], bev), 2) + position
        tokens = encoder(tokens.flatten(0, 1)).unflatten(0, (b, n))
        action = tokens[:, :, 0]
        bev = inject(tokens[:, :, 1:], action, weights_nl)
        maps.append(bev)
        actions.append(action)
    return maps, actions
