"""The movement of weights, from a few entries of each tensor: cheap to keep, and what mere decay does is left out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

KEPT = 64
"""Entries of each tensor, evenly spread."""


def groups_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Names of parameters by the module that they belong to, below what all have in common: ``a.b.c.weight`` and
    ``a.d.weight`` are of the groups ``a.b`` and ``a.d``."""
    paths = [name.split(".") for name in names]
    depth = 0
    while paths and all(len(path) > depth + 2 for path in paths) and len({path[depth] for path in paths}) == 1:
        depth += 1
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(".".join(path[: depth + 1]), []).append(".".join(path))
    return found


def sketch(tensors: Mapping[str, Tensor]) -> Tensor:
    """(n, KEPT) float32 on the host: entries of each tensor in the order of the mapping, the rest zeros."""
    rows = []
    for value in tensors.values():
        flat = value.detach().reshape(-1)
        places = torch.linspace(0, len(flat) - 1, min(KEPT, len(flat)), device=flat.device).round().long()
        row = torch.zeros(KEPT, device=flat.device)
        row[: len(places)] = flat[places].float()
        rows.append(row)
    return torch.stack(rows).cpu() if rows else torch.zeros(0, KEPT)


def moved(before: Tensor, after: Tensor, members: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Relative movement of each group of rows, without what shrinks or grows all entries of a tensor alike (weight
    decay does): sketches (n, KEPT) each, group -> its rows."""
    change = after.double() - before.double()
    size = (before.double() ** 2).sum(1)
    along = (change * before.double()).sum(1) / size.clamp(min=1e-30)
    alone = (before != 0).sum(1) <= 1  # one entry has no other direction
    rest = change - torch.where(alone, 0.0, along)[:, None] * before.double()
    rest_size = (rest**2).sum(1)
    found = {}
    for name, rows in members.items():
        whole = float(size[list(rows)].sum())
        found[name] = math.sqrt(float(rest_size[list(rows)].sum()) / max(whole, 1e-12))
    return found


def declared(name: str, frozen: Mapping[str, str]) -> bool:
    """Whether ``name`` is one of the prefixes, or lies below one."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in frozen)


def batch_statistics(module: nn.Module) -> None:
    """Inference, but for batch norms, which normalise by the batch itself and keep their running statistics: weights
    that were just initialised have none."""
    module.eval()
    for member in module.modules():
        if isinstance(member, nn.modules.batchnorm._BatchNorm):
            member.train()
            member.momentum = 0.0
