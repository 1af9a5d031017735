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

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wotempo.model.encoder import dropout_of, feed_forward


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
    b, n, _ = action.shape
    weight, bias = attention.in_proj_weight, attention.in_proj_bias

    tokens_btc = torch.cat((position[:1].expand(b, -1, -1), scene + position[1:]), 1)
    at = tuple(1 + cell for cell in cells)
    own_b, common_b = _split(tokens_btc, at)
    own_qkv, common_qkv = _split(F.linear(tokens_btc, weight, bias), at)
    share_k1 = torch.cat((now.new_ones(1), *(now[cell : cell + 1] for cell in cells)))[:, None]
    own_bnkc = own_b[:, None] + share_k1.to(own_b.dtype) * action[:, :, None]
    own_qkv = own_qkv[:, None] + share_k1.to(own_qkv.dtype) * F.linear(action, weight)[:, :, None]

    q_bhud, k_bhud, v_bhud = common_qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    q_bhnkd, k_bhnkd, v_bhnkd = own_qkv.unflatten(-1, (3, heads, -1)).permute(3, 0, 4, 1, 2, 5)
    q_bhud, q_bhnkd = q_bhud * attention.head_dim**-0.5, q_bhnkd * attention.head_dim**-0.5
    drop = dropout_of(attention)
    out_hdc = attention.out_proj.weight.t().unflatten(0, (heads, -1))

    # Common queries: the common keys count as one key more, whose score is their log-sum-exp.
    score_bhuu = q_bhud @ k_bhud.transpose(-1, -2)
    read_bhud = F.dropout(score_bhuu.softmax(-1), drop) @ v_bhud
    score_bhunk = (q_bhud @ k_bhnkd.flatten(2, 3).transpose(-1, -2)).unflatten(-1, (n, -1))
    lse_bhun1 = score_bhuu.logsumexp(-1)[..., None, None].expand(-1, -1, -1, n, 1)
    share_bhun, share_bhunk = torch.cat((lse_bhun1, score_bhunk), -1).softmax(-1).split((1, score_bhunk.shape[-1]), -1)
    projected_buhc = torch.einsum("bhud,hdc->buhc", read_bhud, out_hdc)
    projected_bnhkc = torch.einsum("bhnkd,hdc->bnhkc", v_bhnkd, out_hdc)
    of_common_bunc = share_bhun.squeeze(-1).permute(0, 2, 3, 1) @ projected_buhc
    own_share = F.dropout(share_bhunk, drop).permute(0, 3, 2, 1, 4).flatten(-2)  # (B, N, U, H·K)
    update_bnuc = torch.baddbmm(
        of_common_bunc.transpose(1, 2).flatten(0, 1),
        own_share.flatten(0, 1),
        projected_bnhkc.flatten(0, 1).flatten(1, 2),
    ).unflatten(0, (b, n))

    # Own queries read everything.
    to_common = (q_bhnkd.flatten(2, 3) @ k_bhud.transpose(-1, -2)).unflatten(2, (n, -1))
    scores = torch.cat((q_bhnkd @ k_bhnkd.transpose(-1, -2), to_common), -1)
    of_own, of_common = F.dropout(scores.softmax(-1), drop).split((scores.shape[-2], k_bhud.shape[-2]), -1)
    read_bhnkd = of_own @ v_bhnkd + (of_common.flatten(2, 3) @ v_bhud).unflatten(2, (n, -1))
    own_update = torch.einsum("bhnkd,hdc->bnkc", read_bhnkd, out_hdc)

    own = own_bnkc + layer.dropout1(own_update + attention.out_proj.bias)
    rest = common_b[:, None] + layer.dropout1(update_bnuc + attention.out_proj.bias)
    return feed_forward(layer, layer.norm1(_merge(own, rest, at)))


def _split(x: Tensor, at: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """x (B, 1+L, D) -> the tokens 0 and ``at`` (B, K, D), the others (B, U, D). Slices: an index list would have to
    travel to a GPU."""
    edges = [0, *at, x.shape[1]]
    own = [x[:, i : i + 1] for i in edges[:-1]]
    return torch.cat(own, 1), torch.cat([x[:, a + 1 : b] for a, b in pairwise(edges)], 1)


def _merge(own: Tensor, rest: Tensor, at: tuple[int, ...]) -> Tensor:
    """The inverse on (B, N, K, D) and (B, N, U, D)."""
    edges = [0, *at, own.shape[2] + rest.shape[2]]
    parts = [
        p for i, (a, b) in enumerate(pairwise(edges)) for p in (own[:, :, i : i + 1], rest[:, :, a - i : b - i - 1])
    ]
    return torch.cat(parts, 2)
