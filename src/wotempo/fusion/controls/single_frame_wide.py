"""The control for size: as many parameters as a temporal stage, spent on the current frame."""

from __future__ import annotations

from torch import Tensor, nn

from wotempo.errors import UserError
from wotempo.fusion.base import TemporalFusion
from wotempo.fusion.controls.controls import unjudged
from wotempo.fusion.layers import output_projection


class SingleFrameWide(TemporalFusion):
    """fused = current + P∗relu(K∗current) with K of 3×3, as wide as it takes to match the parameters of ``stage``.

    It is given the same windows and looks at the last frame: the same scenes, encoded frames and batch statistics.
    """

    order_aware = False

    def __init__(self, stage: TemporalFusion) -> None:
        """UserError where ``stage`` has no parameters."""
        super().__init__(stage.channels, stage.grid, stage.num_frames, stage.renormalise)
        wanted = sum(p.numel() for p in stage.parameters())
        if wanted == 0:
            raise UserError(
                "fusion.control is single_frame_wide, but the stage has no parameters to match: compare none"
            )
        c = stage.channels
        width = max(1, round(wanted / (9 * c + 1 + c)))
        self.expand = nn.Conv2d(c, width, 3, padding=1)
        self.project = output_projection(width, c)
        self.level, self.frame_stride = stage.level, stage.frame_stride
        self.unjudged = unjudged("single_frame_wide")

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``; only the current map is read."""
        current = bev[:, -1]
        return current + self.project(self.expand(current).relu()).to(current.dtype)
