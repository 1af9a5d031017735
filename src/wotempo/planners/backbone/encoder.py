"""The transformer encoder of torch's own modules (post-norm, ReLU), with fewer copies than their forward makes.

The modules stay: they hold the parameters under the published names. Vaswani et al., arXiv 1706.03762.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wotempo.planners.backbone.dropout import dropout


def transformer_encoder(d_model: int, heads: int, ffn: int, layers: int, dropout: float) -> nn.TransformerEncoder:
    """Post-norm, ReLU, no final norm. Run it with ``encode``."""
    layer = nn.TransformerEncoderLayer(d_model, heads, ffn, dropout, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def encode(layers: nn.ModuleList, x: Tensor) -> Tensor:
    """x (M, L, C) -> (M, L, C)."""
    for layer in cast("list[nn.TransformerEncoderLayer]", layers):
        x = feed_forward(layer, layer.norm1(x + dropout(_attention(layer.self_attn, x), rate(layer.dropout1))))
    return x


def feed_forward(layer: nn.TransformerEncoderLayer, x: Tensor) -> Tensor:
    """The second half of a layer. x (..., C) -> (..., C)."""
    hidden = dropout(F.relu(layer.linear1(x)), rate(layer.dropout))
    return layer.norm2(x + dropout(layer.linear2(hidden), rate(layer.dropout2)))


def rate(module: nn.Dropout | nn.MultiheadAttention) -> float:
    """Its dropout, 0 in evaluation."""
    if not module.training:
        return 0.0
    return module.p if isinstance(module, nn.Dropout) else module.dropout


def _attention(attention: nn.MultiheadAttention, x: Tensor) -> Tensor:
    qkv = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
    q, k, v = qkv.unflatten(-1, (3, attention.num_heads, attention.head_dim)).permute(2, 0, 3, 1, 4)
    p = rate(attention)
    if p and x.device.type == "cpu":  # torch has no fused kernel for this case
        scores = wide((q * attention.head_dim**-0.5) @ k.transpose(-1, -2))
        read = dropout(scores.softmax(-1).to(v.dtype), p) @ v
    else:
        read = F.scaled_dot_product_attention(q, k, v, dropout_p=p)
    return attention.out_proj(read.transpose(1, 2).flatten(2))


def wide(x: Tensor) -> Tensor:
    """At least float32: rewards, metres and attention scores are compared in differences that bf16 does not have."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
