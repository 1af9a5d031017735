"""The residual of past BEV maps moved onto present ones, over their variance, for the true shift and for others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Align = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""maps (N, 2, C, H, W), pose (N, 2, 3) of them in the second one -> the aligned maps and the mask (N, 2, 1, H, W)."""
FACTORS = tuple(quarter / 4 for quarter in range(11))  # 0 to 2.5 times the way that the ego drove
MOVING_M = 2.0  # pairs with less ego motion say nothing
BANDS_M = (MOVING_M, 6.0, 12.0, float("inf"))


@dataclass(frozen=True)
class Shift:
    """Residual over variance of the present map given a past one: 0 is a perfect prediction, 1 no better than the mean
    map, about 2 an unrelated map. Over cells that both frames see, in ``pairs`` whose ego moved ``from_m`` to ``to_m``.

    ``unmoved``: the past as it was; ``warped``: by the stage's own warp; ``best``: the best of FACTORS times the way
    along x (turn and sideways motion as they are), ``best_factor``; ``elsewhere``: the past of another pair, warped.
    ``curve``: residual of every factor.
    """

    from_m: float
    to_m: float | None
    pairs: int
    unmoved: float
    warped: float
    best: float
    best_factor: float
    elsewhere: float
    curve: dict[str, float]


@torch.no_grad()
def shift_curve(
    maps: Tensor, pose: Tensor, align: Align, from_m: float = MOVING_M, to_m: float = float("inf")
) -> Shift | None:
    """maps (N, 2, C, H, W) past and present, pose (N, 2, 3) of them in the present one; None without two such pairs."""
    way = pose[:, 0, :2].norm(dim=-1)
    use = (way >= from_m) & (way < to_m)
    if int(use.sum()) < 2:
        return None
    present_mean = maps[:, 1].mean((0, 2, 3))[:, None, None]
    maps, pose = maps[use], pose[use]
    now = maps[:, 1]
    warped, mask = _aligned(align, maps, pose)

    def against(other: Tensor, seen: Tensor) -> float:
        seen = seen & mask  # always among the cells that the stage's own warp sees
        residual = ((now - other).square() * seen).sum()
        return float(residual / ((now - present_mean).square() * seen).sum().clamp(min=1e-12))

    along_x = pose.new_tensor([[factor, 1.0, 1.0] for factor in FACTORS])
    curve = {factor: against(*_aligned(align, maps, pose * by)) for factor, by in zip(FACTORS, along_x, strict=True)}
    best = min(curve, key=lambda factor: curve[factor])
    elsewhere = torch.cat((maps[:, :1].roll(len(maps) // 2, 0), maps[:, 1:]), 1)
    return Shift(
        from_m=from_m,
        to_m=None if to_m == float("inf") else to_m,
        pairs=len(maps),
        unmoved=against(maps[:, 0], torch.ones_like(mask)),
        warped=against(warped, mask),
        best=curve[best],
        best_factor=best,
        elsewhere=against(*_aligned(align, elsewhere, pose)),
        curve={f"{factor:g}": value for factor, value in curve.items()},
    )


def without_place(maps: Tensor) -> Tensor:
    """maps (N, 2, C, H, W) less the mean map of all: what is the same in every scene stands still in the ego's axes."""
    return maps - maps.mean((0, 1))


def _aligned(align: Align, maps: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
    aligned, mask = align(maps, pose)
    return aligned[:, 0], mask[:, 0]
