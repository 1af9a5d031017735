"""The world model's first layer, on maps that are the same for all trajectories but for the cells under the ego.

Per sample, N trajectories see the tokens [action, map + share · action]. Only the action and the few cells with a
share (the *own* tokens, K of them) differ between trajectories; the U others are *common*. Exactly the same function as
the layer on all N · (1 + L) tokens, because

* projections are linear: common tokens are projected once, own ones by adding the projected action;
* softmax over keys is associative: what a common query reads of common keys is computed once, together with its
  log-sum-exp, which then stands for all of them beside the K own keys;
* the output projection is linear: it is applied to the values before they are mixed.

Dropout of what is common is drawn once per sample; for every single trajectory it is distributed as before.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wotempo.planners.backbone.dropout import dropout
from wotempo.planners.backbone.encoder import feed_forward, rate, wide


def shared_first_layer(
    layer: nn.TransformerEncoderLayer,
    scene: Tensor,
    action: Tensor,
    position: Tensor,
    cells: tuple[int, ...],
    now: Tensor,
) -> Tensor:
    """scene (B, L, C) the map without the action · action (B, N, C) · position (1+L, C) embedding of [action, map] ·
    now (L,) how much of the action each cell gets, zero but in ``cells`` (ascending) -> the layer's output
    (B, N, 1+L, C)."""
    attention, heads = layer.self_attn, layer.self_attn.num_heads
    b = len(action)
    weight, bias = attention.in_proj_weight, attention.in_proj_bias

    tokens_btc = torch.cat((position[:1].expand(b, -1, -1), scene + position[1:]), 1)
    at = tuple(1 + cell for cell in cells)
    own_bkc, common_buc = _split(tokens_btc, at)
    own_qkv, common_qkv = _split(F.linear(tokens_btc, weight, bias), at)
    share_k1 = torch.cat((now.new_ones(1), *(now[cell : cell + 1] for cell in cells)))[:, None]
    own_bnkc = own_bkc[:, None] + share_k1.to(own_bkc.dtype) * action[:, :, None]
    own_qkv = own_qkv[:, None] + share_k1.to(own_qkv.dtype) * F.linear(action, weight)[:, :, None]

    common = Heads(*common_qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4))
    own = Heads(*own_qkv.unflatten(-1, (3, heads, -1)).permute(3, 0, 4, 1, 2, 5))
    output_hdc = attention.out_proj.weight.t().unflatten(0, (heads, -1))
    common_update = _read_by_common(common, own, output_hdc, rate(attention))
    own_update = _read_by_own(common, own, output_hdc, rate(attention))
    own_tokens = own_bnkc + dropout(own_update + attention.out_proj.bias, rate(layer.dropout1))
    common_tokens = common_buc[:, None] + dropout(common_update + attention.out_proj.bias, rate(layer.dropout1))
    return feed_forward(layer, layer.norm1(_merge(own_tokens, common_tokens, at)))


class Heads(NamedTuple):
    """Queries, keys and values by head: of common tokens (B, H, U, D), of own ones (B, H, N, K, D)."""

    q: Tensor
    k: Tensor
    v: Tensor


def _read_by_common(common: Heads, own: Heads, output_hdc: Tensor, p: float) -> Tensor:
    """What the common queries read, (B, N, U, C): the common keys count as one more key beside the K own ones, and its
    score is their log-sum-exp."""
    n, k = own.k.shape[2:4]
    q_bhud = common.q * common.q.shape[-1] ** -0.5
    among_bhuu = wide(q_bhud @ common.k.transpose(-1, -2))
    read_bhud = dropout(among_bhuu.softmax(-1), p).to(common.v.dtype) @ common.v
    scores_bhunk = wide(q_bhud @ own.k.flatten(2, 3).transpose(-1, -2)).unflatten(-1, (n, k))
    sum_bhun1 = among_bhuu.logsumexp(-1)[..., None, None].expand(-1, -1, -1, n, 1)
    share = torch.cat((sum_bhun1, scores_bhunk), -1).softmax(-1).to(common.v.dtype)
    of_common, of_own = share.split((1, k), -1)
    of_own = dropout(of_own, p).permute(0, 3, 2, 1, 4).flatten(-2)  # (B, N, U, H·K)
    values_bnhkc = torch.einsum("bhnkd,hdc->bnhkc", own.v, output_hdc)
    # The share of the common keys carries no dropout of its own: theirs is in what they read.
    update_bunc = of_common.squeeze(-1).permute(0, 2, 3, 1) @ torch.einsum("bhud,hdc->buhc", read_bhud, output_hdc)
    update = torch.baddbmm(
        update_bunc.transpose(1, 2).flatten(0, 1), of_own.flatten(0, 1), values_bnhkc.flatten(0, 1).flatten(1, 2)
    )
    return update.unflatten(0, of_own.shape[:2])


def _read_by_own(common: Heads, own: Heads, output_hdc: Tensor, p: float) -> Tensor:
    """What the own queries read of all keys, (B, N, K, C)."""
    n, k, d = own.q.shape[2:]
    q_bhnkd = own.q * d**-0.5
    of_common = (q_bhnkd.flatten(2, 3) @ common.k.transpose(-1, -2)).unflatten(2, (n, k))
    scores = wide(torch.cat((of_common, q_bhnkd @ own.k.transpose(-1, -2)), -1))
    share = dropout(scores.softmax(-1), p).to(common.v.dtype)
    of_common, of_own = share.split((common.k.shape[2], k), -1)
    read_bhnkd = of_own @ own.v + (of_common.flatten(2, 3) @ common.v).unflatten(2, (n, k))
    return torch.einsum("bhnkd,hdc->bnkc", read_bhnkd, output_hdc)


def _split(x: Tensor, at: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """x (B, 1+L, D) -> the tokens 0 and ``at`` (B, K, D), the others (B, U, D). Slices: an index list would have to
    travel to a GPU."""
    edges = [0, *at, x.shape[1]]
    own = [x[:, i : i + 1] for i in edges[:-1]]
    return torch.cat(own, 1), torch.cat([x[:, a + 1 : b] for a, b in pairwise(edges)], 1)


def _merge(own: Tensor, rest: Tensor, at: tuple[int, ...]) -> Tensor:
    """The inverse on (B, N, K, D) and (B, N, U, D)."""
    edges = [0, *at, own.shape[2] + rest.shape[2]]
    parts: list[Tensor] = []
    for i, (a, b) in enumerate(pairwise(edges)):
        parts += [own[:, :, i : i + 1], rest[:, :, a - i : b - i - 1]]
    return torch.cat(parts, 2)
