"""The transformer encoder of torch's own modules (post-norm, ReLU), with fewer copies than their forward makes.

The modules stay: they hold the parameters under the published names. Vaswani et al., arXiv 1706.03762.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def transformer_encoder(d_model: int, heads: int, ffn: int, layers: int, dropout: float) -> nn.TransformerEncoder:
    """Post-norm, ReLU, no final norm. Run it with ``encode``."""
    layer = nn.TransformerEncoderLayer(d_model, heads, ffn, dropout, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def encode(layers: nn.ModuleList, x: Tensor) -> Tensor:
    """x (M, L, C) -> (M, L, C)."""
    for layer in cast("list[nn.TransformerEncoderLayer]", layers):
        x = feed_forward(layer, layer.norm1(x + layer.dropout1(_attention(layer.self_attn, x))))
    return x


def feed_forward(layer: nn.TransformerEncoderLayer, x: Tensor) -> Tensor:
    """The second half of a layer. x (..., C) -> (..., C)."""
    hidden = layer.dropout(F.relu(layer.linear1(x)))
    return layer.norm2(x + layer.dropout2(layer.linear2(hidden)))


def dropout_of(attention: nn.MultiheadAttention) -> float:
    return attention.dropout if attention.training else 0.0


def _attention(attention: nn.MultiheadAttention, x: Tensor) -> Tensor:
    qkv = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
    q, k, v = qkv.unflatten(-1, (3, attention.num_heads, attention.head_dim)).permute(2, 0, 3, 1, 4)
    read = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout_of(attention))
    return attention.out_proj(read.transpose(1, 2).flatten(2))


def wide(x: Tensor) -> Tensor:
    """At least float32: rewards, metres and attention scores are compared in differences that bf16 does not have."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
