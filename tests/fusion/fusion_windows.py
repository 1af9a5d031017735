"""Stages with every parameter random, and windows with everything in them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from static_world import drives
from torch import Tensor

from wotempo.fusion import TemporalFusion
from wotempo.geometry import BevGrid, relative_to

GRID = BevGrid(-32.0, 48.0, -20.0, 28.0, 20, 12)  # 4 m cells, oblong and off centre: no symmetry to hide behind
CHANNELS, FRAMES = 5, 4


def randomise(stage: TemporalFusion, seed: int = 0) -> TemporalFusion:
    """Every parameter, the zero-initialised ones included: at initialisation the properties would prove nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in stage.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return stage


@dataclass(frozen=True)
class Window:
    """The arguments of ``forward``."""

    bev: Tensor
    pose: Tensor
    dt: Tensor
    valid: Tensor

    def args(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.bev, self.pose, self.dt, self.valid

    def with_(self, **fields: Tensor) -> Window:
        return replace(self, **fields)


def window(batch: int = 3, dtype: torch.dtype = torch.float64, seed: int = 0, frames: int = FRAMES) -> Window:
    """A window of real motion with all frames valid. Poses stay at least float32."""
    generator = torch.Generator().manual_seed(seed)
    path = drives(batch, frames, seed)
    bev = torch.randn(batch, frames, CHANNELS, *GRID.shape, generator=generator, dtype=torch.float64)
    wide = torch.promote_types(dtype, torch.float32)
    pose = torch.from_numpy(relative_to(path[:, -1:], path)).to(wide)
    dt = torch.from_numpy(np.tile(0.5 * np.arange(frames - 1, -1, -1), (batch, 1))).to(wide)
    return Window(bev.to(dtype), pose, dt, torch.ones(batch, frames, dtype=torch.bool))
