"""minGRU: gates that do not see the state, so one convolution serves all frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wotempo.fusion.base import TemporalFusion
from wotempo.fusion.layers import check_kernel, output_projection, outputs_of, state_channels
from wotempo.geometry import BevGrid


class MinGRUFusion(TemporalFusion):
    """fused = current + P∗h_T;  z, h̃ = σ(K_z∗x), K_h∗x;  h' = h + z⊙(h̃ - h), z = 0 where a frame shows nothing.

    Feng et al., "Were RNNs All We Needed?" (arXiv 2410.01201), with convolutions. What frame k before the current one
    contributes is at most ∏(1 - z) over the frames after it: forgetting can be read off. ``dt`` is not read.
    """

    def __init__(
        self,
        channels: int,
        grid: BevGrid,
        num_frames: int,
        hidden: int | None,
        kernel: int,
        renormalise: bool,
    ) -> None:
        """``hidden``: channels of the state, by default as many as the map has. ``kernel``: odd, in cells."""
        super().__init__(channels, grid, num_frames, renormalise)
        check_kernel(kernel)
        hidden = state_channels(hidden, channels)
        self.gates = nn.Conv2d(channels, 2 * hidden, kernel, padding=kernel // 2)
        self.project = output_projection(hidden, channels)

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``; ``dt`` is not read."""
        aligned, mask = self.warp_history(bev, pose, valid)
        # At least float32: the state is a sum over frames.
        wide = torch.promote_types(bev.dtype, torch.float32)
        gates = self.gates(aligned.flatten(0, 1)).to(wide).unflatten(0, valid.shape)
        z, candidate = gates.chunk(2, 2)
        z = z.sigmoid() * mask
        h = torch.zeros_like(candidate[:, 0])
        for t in range(valid.shape[1]):
            h = h + z[:, t] * (candidate[:, t] - h)
        return self.add_where_seen(bev, mask, self.project(h.to(bev.dtype)))

    def gate_values(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """See ``TemporalFusion``: update gate z (1: the frame replaces the state)."""
        with outputs_of(self.gates) as logits:
            self(bev, pose, dt, valid)
        return {"z": logits[0].unflatten(0, valid.shape).chunk(2, 2)[0].sigmoid()}
