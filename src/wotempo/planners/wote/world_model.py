"""The BEV world model: what the scene becomes if the ego drives each trajectory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wotempo.planners.backbone.encoder import encode
from wotempo.planners.wote.action import inject
from wotempo.planners.wote.shared_layer import shared_first_layer


def roll_out(
    encoder: nn.TransformerEncoder,
    position: Tensor,
    scene: Tensor,
    action: Tensor,
    cells: tuple[int, ...],
    now: Tensor,
    splats: Tensor,
) -> tuple[list[Tensor], list[Tensor]]:
    """Imagines K steps, one and the same network for each.

    position (1+L, C) embedding of [action, map] · scene (B, L, C) the current map · action (B, N, C), each written into
    the map with the weights now (L,), zero but in ``cells`` · splats (K, N, L) where each step's action belongs
    -> K future maps (B, N, L, C) and K future actions (B, N, C).
    """
    b, n = action.shape[:2]
    tokens = shared_first_layer(encoder.layers[0], scene, action, position, cells, now)
    tokens = encode(encoder.layers[1:], tokens.flatten(0, 1))
    maps: list[Tensor] = []
    actions: list[Tensor] = []
    for weights_nl in splats:
        if maps:
            tokens = encode(
                encoder.layers, (torch.cat((actions[-1][:, :, None], maps[-1]), 2) + position).flatten(0, 1)
            )
        tokens = tokens.unflatten(0, (b, n))
        actions.append(tokens[:, :, 0])
        maps.append(inject(tokens[:, :, 1:], tokens[:, :, 0], weights_nl))
    return maps, actions
