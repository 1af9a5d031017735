"""The maximum over the aligned frames, cell by cell."""

from __future__ import annotations

from torch import Tensor

from wotempo.fusion.base import TemporalFusion


class MaxFusion(TemporalFusion):
    """Per cell and channel the maximum over the frames that show the cell, the current one included. No parameters,
    hence no identity at initialisation. Keeps what was seen once, as an occupancy map would; cannot forget it."""

    order_aware = False

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``; ``dt`` is not read."""
        aligned, mask = self.warp_history(bev, pose, valid)
        if aligned.shape[1] == 1:
            return bev[:, -1]
        history = aligned[:, :-1].masked_fill(~mask[:, :-1], float("-inf")).amax(1)
        return bev[:, -1].maximum(history)
