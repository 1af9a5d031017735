"""ConvLSTM over frames that are each warped directly onto the current one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wotempo.fusion.base import TemporalFusion
from wotempo.fusion.layers import check_kernel, output_projection, outputs_of, state_channels
from wotempo.geometry import BevGrid


class ConvLSTMFusion(TemporalFusion):
    """fused = current + P∗h_T;  i, f, o = σ(…), g = tanh(…) of K∗[x, h];  c' = f⊙c + i⊙g;  h' = o⊙tanh(c').

    Shi et al., "Convolutional LSTM Network", NeurIPS 2015, without its peepholes. h and c are kept where a frame does
    not show the cell. ``dt`` is not read.
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
        self.hidden = state_channels(hidden, channels)
        self.gates = nn.Conv2d(channels + self.hidden, 4 * self.hidden, kernel, padding=kernel // 2)
        self.project = output_projection(self.hidden, channels)

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``; ``dt`` is not read."""
        aligned, mask = self.warp_history(bev, pose, valid)
        # At least float32: both states are sums over frames.
        wide = torch.promote_types(bev.dtype, torch.float32)
        h = aligned.new_zeros(len(bev), self.hidden, *self.grid.shape, dtype=wide)
        c = torch.zeros_like(h)
        for t in range(valid.shape[1]):
            gates = self.gates(torch.cat((aligned[:, t], h.to(bev.dtype)), 1)).to(wide)
            i, f, o, g = gates.chunk(4, 1)
            cell = f.sigmoid() * c + i.sigmoid() * g.tanh()
            c = torch.where(mask[:, t], cell, c)
            h = torch.where(mask[:, t], o.sigmoid() * cell.tanh(), h)
        return self.add_where_seen(bev, mask, self.project(h.to(bev.dtype)))

    def gate_values(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """See ``TemporalFusion``: input, forget and output gates i, f, o."""
        with outputs_of(self.gates) as logits:
            self(bev, pose, dt, valid)
        i, f, o, _ = torch.stack(logits, 1).sigmoid().chunk(4, 2)
        return {"i": i, "f": f, "o": o}
