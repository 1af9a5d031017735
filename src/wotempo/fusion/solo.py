"""A time channel and two 1×1 convolutions over the stack."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wotempo.fusion.base import TemporalFusion
from wotempo.fusion.layers import output_projection
from wotempo.geometry import BevGrid


class SoloFusion(TemporalFusion):
    """fused = current + P∗[e_1 … e_T] with e_i = relu(E∗[x_i, dt_i]), zero where frame i does not show the cell.

    After SOLOFusion (Park et al., "Time Will Tell", ICLR 2023, arXiv 2210.02443). There the stored maps are re-warped
    at every step, which blurs; here each is warped once.
    """

    def __init__(self, channels: int, grid: BevGrid, num_frames: int, renormalise: bool) -> None:
        super().__init__(channels, grid, num_frames, renormalise)
        self.embed = nn.Conv2d(channels + 1, channels, 1)
        self.project = output_projection(num_frames * channels, channels)

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``. At most ``num_frames`` frames."""
        aligned, mask = self.warp_history(bev, pose, valid)
        time = self.ages(dt, valid).to(bev.dtype)[..., None, None, None].expand_as(aligned[:, :, :1])
        embedded = self.embed(torch.cat((aligned, time), 2).flatten(0, 1)).relu().unflatten(0, valid.shape)
        embedded = embedded * mask  # its bias would light up cells that no frame shows
        return self.add_where_seen(bev, mask, self.project(self.full_length(embedded).flatten(1, 2)))
