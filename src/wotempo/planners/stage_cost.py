"""The cost of a fusion stage: its parameters and its multiply-accumulates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from wotempo.fusion import build_fusion
from wotempo.geometry import BevGrid


@dataclass(frozen=True)
class Cost:
    """``macs``: multiply-accumulates of one window at batch 1, as counted by torch: convolutions and matrix products.
    Warps, gates and softmaxes are elementwise and not counted."""

    stage: str
    parameters: int
    macs: int


def cost(name: str, channels: int, grid: BevGrid, fusion: dict[str, Any]) -> Cost:
    """Of the stage of ``fusion`` (as ``build_fusion`` takes it) on a window of its own length. Among fake tensors:
    nothing is computed, and nothing is drawn from the random numbers of a run."""
    with FakeTensorMode(), torch.random.fork_rng(devices=[]), torch.no_grad():
        stage = build_fusion(channels=channels, grid=grid, **fusion)
        b, frames = 2, stage.num_frames  # one control takes history from the other sample
        bev = torch.zeros(b, frames, channels, *grid.shape)
        pose, dt, valid = torch.zeros(b, frames, 3), torch.zeros(b, frames), torch.ones(b, frames, dtype=torch.bool)
        with FlopCounterMode(display=False) as counter:
            stage(bev, pose, dt, valid)
    return Cost(name, sum(p.numel() for p in stage.parameters()), counter.get_total_flops() // 2 // b)
