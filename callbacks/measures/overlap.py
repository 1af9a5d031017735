"""The overlap (IoU) of past occupancy maps with the current one, compared between two alignments."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

SUMS = ("frames", "gain", "gain_squared", "better", "before", "after")
SEEN = 0.25
"""Smallest share of cells inside both masks for a comparison to mean something."""


def advantage(
    present: Tensor, ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor], use: Tensor
) -> dict[str, Tensor]:
    """Overlap (IoU) with the current map after ``ours`` minus after ``theirs``, over the cells that both have seen.

    present (B, 1, 1, R, C), the current map; each alignment (warped, mask) of (B, T, 1, R, C), the maps as ``grown``
    makes them; use (B, T) bool, which frames. Returns tensors to be summed: how many ``frames``, their ``gain``,
    ``gain_squared``, how many are ``better``, and the overlaps ``after`` ours and ``before``, after theirs.
    """
    seen = (ours[1] & theirs[1]).float()
    present = present * seen
    whole = present.sum((2, 3, 4))
    after = _iou(ours[0], present, whole, seen)  # (B, T)
    before = _iou(theirs[0], present, whole, seen)
    use = use & (seen.mean((2, 3, 4)) >= SEEN)
    gain = torch.where(use, after - before, 0.0)
    return {
        "frames": use,
        "gain": gain,
        "gain_squared": gain**2,
        "better": use & (gain > 0),
        "before": torch.where(use, before, 0.0),
        "after": torch.where(use, after, 0.0),
    }


def summary(sums: dict[str, Any]) -> dict[str, float]:
    """The sums of ``advantage`` over a run -> means per frame, and the standard error of the mean gain."""
    n = sums["frames"]
    means = {name: sums[name] / max(n, 1) for name in ("gain", "better", "before", "after")}
    variance = max(sums["gain_squared"] / max(n, 1) - means["gain"] ** 2, 0.0)
    return {"frames": int(n), **means, "error": math.sqrt(variance / max(n, 1))}


def at_size(maps: Tensor, size: torch.Size) -> Tensor:
    """Mean of the cells where the stage works on a coarser map."""
    if maps.shape[-2:] == size:
        return maps
    return F.adaptive_avg_pool2d(maps.flatten(0, 1), tuple(size)).unflatten(0, maps.shape[:2])  # type: ignore[arg-type]


def grown(maps: Tensor, size: torch.Size, full: torch.Size) -> Tensor:
    """Cells of ``full`` maps are dilated by one, so that a half-cell shift does not count. The means of a coarser stage
    tell half-cell shifts apart by themselves, and would drown in a dilation. (B, T, 1, ., .) -> (B, T, 1, *size)."""
    if size != full:
        return at_size(maps, size)
    return _widen(_widen(maps, -1), -2)


def _widen(maps: Tensor, axis: int) -> Tensor:
    """Largest of each cell and its two neighbours: on a CPU a fifteenth of the time of ``max_pool2d``."""
    wide, size = maps.clone(), maps.shape[axis] - 1
    for there, here in ((0, 1), (1, 0)):
        part = wide.narrow(axis, here, size)
        torch.maximum(part, maps.narrow(axis, there, size), out=part)
    return wide


def _iou(a: Tensor, b: Tensor, b_whole: Tensor, seen: Tensor) -> Tensor:
    """Soft intersection over union (B, T) of ``a`` where it is seen with ``b``, which is 0 elsewhere and sums up to
    ``b_whole``: the larger and the smaller of two cells are together their sum."""
    inter = torch.minimum(a, b).sum((2, 3, 4))
    union = (a * seen).sum((2, 3, 4)) + b_whole - inter
    return inter / union.clamp(min=1e-6)
