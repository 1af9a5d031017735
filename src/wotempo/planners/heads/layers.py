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


def keep_size(stack: nn.Module) -> None:
    """Draw the weights of its linear layers anew so that ReLUs between them keep the size of what passes, and set their
    biases to zero. He et al., arXiv 1502.01852."""
    for layer in stack.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)


def transformer_decoder(d_model: int, heads: int, ffn: int, layers: int) -> nn.TransformerDecoder:
    """Post-norm, ReLU, no dropout, no final norm: queries (B, Q, C) and memory (B, L, C) -> (B, Q, C)."""
    layer = nn.TransformerDecoderLayer(d_model, heads, ffn, dropout=0.0, batch_first=True)
    return nn.TransformerDecoder(layer, layers)
