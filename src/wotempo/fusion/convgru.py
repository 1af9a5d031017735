"""ConvGRU over frames that are each warped directly onto the current one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wotempo.errors import UserError
from wotempo.fusion.base import TemporalFusion
from wotempo.geometry import BevGrid


class ConvGRUCell(nn.Module):
    """z, r = σ(K_zr∗[x, h]);  h̃ = tanh(K_h∗[x, r⊙h]);  h' = h + z⊙(h̃ - h)."""

    def __init__(self, channels: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(channels + hidden, 2 * hidden, kernel, padding=kernel // 2)
        self.candidate = nn.Conv2d(channels + hidden, hidden, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """x (B, C, H, W), h (B, hidden, H, W) -> (B, hidden, H, W) in the dtype of ``h``."""
        z, r = self.gates(torch.cat((x, h.to(x.dtype)), 1)).sigmoid().chunk(2, 1)
        candidate = self.candidate(torch.cat((x, (r * h).to(x.dtype)), 1)).tanh()
        return h + z * (candidate - h)


class ConvGRUFusion(TemporalFusion):
    """fused = current + P(h_T), where a ConvGRU reads the aligned window oldest first and h_0 = 0.

    A cell's state is kept where the frame does not show the cell (outside the mask, or the frame is missing). The
    residual is gated per cell: what no valid history frame shows stays exactly as the current frame sees it. So
    "no valid history" is not a special case, and what the network adds is always backed by something seen. The gate
    costs no gradient: every visible history cell lies under an open gate. P is a 1×1 convolution without bias that
    starts at zero.

    No normalisation: a batch norm would mix samples and frames, a group norm would let the masked (zero) cells shift
    the visible ones. The state itself is bounded by tanh, and P carries it to the scale of the features.
    ``dt`` is not read: at NAVSIM's steady 2 Hz it says nothing that the order does not.

    Streaming through the inherited ring buffer equals ``forward``. Carrying h from frame to frame instead would be
    another function: h here lives in the frame of one current frame, and each re-warp at 8 m cells blurs it.
    """

    def __init__(
        self,
        channels: int,
        grid: BevGrid,
        num_frames: int = 4,
        hidden: int | None = None,
        kernel: int = 3,
        renormalise: bool = False,
    ) -> None:
        """``hidden``: channels of the state, by default as many as the map has. ``kernel``: odd, in cells."""
        super().__init__(channels, grid, num_frames, renormalise)
        if kernel < 1 or kernel % 2 == 0:
            raise UserError(f"fusion.kernel is {kernel}, which has no centre cell: set an odd number such as 3")
        self.hidden = channels if hidden is None else hidden
        if self.hidden < 1:
            raise UserError(f"fusion.hidden is {hidden}: set the number of state channels to 1 or more, or to null")
        self.cell = ConvGRUCell(channels, self.hidden, kernel)
        self.project = nn.Conv2d(self.hidden, channels, 1, bias=False)
        nn.init.zeros_(self.project.weight)

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``; ``dt`` is not read."""
        aligned, mask = self.warp_history(bev, pose, valid)
        b, frames, _, rows, cols = aligned.shape
        # At least float32: the state is a sum over frames, and bf16 would round small updates away.
        h = aligned.new_zeros(b, self.hidden, rows, cols, dtype=torch.promote_types(bev.dtype, torch.float32))
        for t in range(frames):
            h = torch.where(mask[:, t], self.cell(aligned[:, t], h), h)
        current, seen = bev[:, -1], mask[:, :-1].any(1)
        return torch.where(seen, current + self.project(h.to(bev.dtype)).to(bev.dtype), current)
