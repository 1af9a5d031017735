"""The mean over the aligned frames, cell by cell."""

from __future__ import annotations

import torch
from torch import Tensor

from wotempo.fusion.base import TemporalFusion


class MeanFusion(TemporalFusion):
    """Per cell the mean over the frames that show it, the current one included. No parameters, hence no identity at
    initialisation: it acts from the first step on. It costs nothing, and a wrong warp harms it most."""

    order_aware = False

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``; ``dt`` is not read."""
        aligned, mask = self.warp_history(bev, pose, valid)
        past = mask[:, :-1]
        # At least float32: a sum over frames. Unseen cells are zero already.
        total = aligned.to(torch.promote_types(bev.dtype, torch.float32)).sum(1)
        mean = (total / (1 + past.sum(1))).to(bev.dtype)
        return torch.where(past.any(1), mean, bev[:, -1])
