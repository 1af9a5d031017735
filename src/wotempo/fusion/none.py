"""The baseline without fusion: the current map alone."""

from __future__ import annotations

from torch import Tensor

from wotempo.errors import UserError
from wotempo.fusion.base import TemporalFusion
from wotempo.geometry import BevGrid


class NoFusion(TemporalFusion):
    """Returns the current map itself. No parameters and no random draws: the single-frame model, unchanged."""

    order_aware = False

    def __init__(self, channels: int, grid: BevGrid, num_frames: int) -> None:
        if num_frames != 1:
            raise UserError(f"fusion.num_frames is {num_frames}, but the stage 'none' sees one frame: set it to 1")
        super().__init__(channels, grid, num_frames, renormalise=False)

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``; pose, dt and valid are not read."""
        return bev[:, -1]
