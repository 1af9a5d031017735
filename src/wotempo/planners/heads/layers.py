"""Small stacks of layers that heads are made of."""

from __future__ import annotations

from itertools import pairwise

from torch import nn


def mlp(*sizes: int) -> nn.Sequential:
    """Linear layers with ReLU between them: (..., sizes[0]) -> (..., sizes[-1])."""
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        layers += [nn.ReLU()] * (i > 0) + [nn.Linear(fan_in, fan_out)]
    return nn.Sequential(*layers)


def transformer_decoder(d_model: int, heads: int, ffn: int, layers: int) -> nn.TransformerDecoder:
    """Post-norm, ReLU, no dropout, no final norm: queries (B, Q, C) and memory (B, L, C) -> (B, Q, C)."""
    layer = nn.TransformerDecoderLayer(d_model, heads, ffn, dropout=0.0, batch_first=True)
    return nn.TransformerDecoder(layer, layers)
