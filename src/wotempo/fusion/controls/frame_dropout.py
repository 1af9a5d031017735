"""History frames that are missing at random in training."""

from __future__ import annotations

import torch
from torch import Tensor

from wotempo.errors import UserError
from wotempo.fusion.base import TemporalFusion
from wotempo.fusion.controls.altered import AlteredFusion


class FrameDropout(AlteredFusion):
    """In training each history frame is not valid with probability ``share``; in evaluation nothing is altered.

    For robustness against dropped frames, and against copying the past instead of looking (Wen et al., "Fighting
    Copycat Agents", NeurIPS 2020). ``kept`` (B, T) bool, for ``gradient_flow``: the frames of the last training step.
    """

    def __init__(self, stage: TemporalFusion, share: float) -> None:
        super().__init__(stage)
        if not 0 < share < 1:
            raise UserError(f"fusion.frame_dropout is {share}: set it to a share from 0 (off) to below 1")
        self.share = share
        self.kept: Tensor | None = None
        self.unjudged = dict(stage.unjudged)

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``."""
        if self.training:
            stays = torch.rand(valid.shape, device=valid.device) >= self.share
            stays[:, -1] = True  # the current frame
            valid = self.kept = valid & stays
        return self.stage(bev, pose, dt, valid)
