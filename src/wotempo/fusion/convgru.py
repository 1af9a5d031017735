"""ConvGRU over frames that are each warped directly onto the current one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wotempo.errors import UserError
from wotempo.fusion.base import TemporalFusion
from wotempo.fusion.layers import (
    check_kernel,
    convolution,
    output_projection,
    outputs_of,
    split_convolution,
    state_channels,
)
from wotempo.geometry import BevGrid

FORMS = ("full", "separable", "bottleneck")


class ConvGRUCell(nn.Module):
    """z, r = σ(K_zr∗[x, h]);  h̃ = tanh(K_h∗[x, r⊙h]);  h' = h + z⊙(h̃ - h)."""

    def __init__(self, channels: int, hidden: int, kernel: int, separable: bool = False) -> None:
        super().__init__()
        self.channels = channels
        self.gates = convolution(channels + hidden, 2 * hidden, kernel, separable)
        self.gate_logits = nn.Identity()  # where z and r can be looked at before the sigmoid
        self.candidate = convolution(channels + hidden, hidden, kernel, separable)

    def forward(self, x: Tensor, h: Tensor, mask: Tensor | None = None, blank: bool = False) -> Tensor:
        """x (B, T, C, H, W) oldest first, h (B, hidden, H, W) before them, mask (B, T, 1, H, W) bool where each is
        seen -> h after them, in its own dtype; unchanged where nothing is seen.

        Both convolutions are linear: what they read of x does not wait for h and is computed for all frames at once.
        ``blank``: h is all zeros, and what they would read of it is left out; the result is the same to the bit.
        """
        gates_of_x, gates_of_h = split_convolution(self.gates, self.channels)
        candidate_of_x, candidate_of_h = split_convolution(self.candidate, self.channels)
        frames = x.flatten(0, 1)
        gates, candidates = (of(frames).unflatten(0, x.shape[:2]) for of in (gates_of_x, candidate_of_x))
        for t in range(x.shape[1]):
            gate, candidate, reads = gates[:, t], candidates[:, t], not (blank and t == 0)
            z, r = self.gate_logits(gate + gates_of_h(h.to(x.dtype)) if reads else gate).sigmoid().chunk(2, 1)
            candidate = (candidate + candidate_of_h((r * h).to(x.dtype)) if reads else candidate).tanh()
            after = h + z * (candidate - h)
            h = after if mask is None else torch.where(mask[:, t], after, h)
        return h


class ConvGRUFusion(TemporalFusion):
    """fused = current + P(h_T), where a ConvGRU reads the aligned window oldest first and h_0 = 0.

    Ballas et al., "Delving Deeper into Convolutional Networks" (ICLR 2016). A cell's state is kept where the frame does
    not show the cell (outside the mask, or the frame is missing). The gate of the residual costs no gradient: every
    visible history cell lies under an open gate. P is a 1×1 convolution without bias that starts at zero.

    No normalisation: a batch norm would mix samples and frames, a group norm would let the masked (zero) cells shift
    the visible ones. The state itself is bounded by tanh, and P carries it to the scale of the features.
    ``dt`` is not read: at NAVSIM's steady 2 Hz it says nothing that the order does not.

    ``form``: ``full`` convolutions, ``separable`` ones (a ninth of the cost), or a ``bottleneck``: x is brought to the
    channels of a small state by a 1×1 convolution first, which commutes with the warp (no bias).

    Streaming through the inherited ring buffer equals ``forward``. Carrying h from frame to frame instead is another
    function, ``convgru_recurrent``: h here lives in the frame of one current frame.
    """

    def __init__(
        self,
        channels: int,
        grid: BevGrid,
        num_frames: int,
        hidden: int | None,
        kernel: int,
        form: str,
        renormalise: bool,
    ) -> None:
        """``hidden``: channels of the state, by default as many as the map has (a quarter in the bottleneck).
        ``kernel``: odd, in cells."""
        super().__init__(channels, grid, num_frames, renormalise)
        check_kernel(kernel)
        if form not in FORMS:
            raise UserError(f"fusion.form is '{form}', but a ConvGRU comes as {', '.join(FORMS)}: set one of them")
        narrow = form == "bottleneck"
        self.hidden = state_channels(hidden, max(1, channels // 4) if narrow else channels)
        self.reduce = nn.Conv2d(channels, self.hidden, 1, bias=False) if narrow else nn.Identity()
        self.cell = ConvGRUCell(self.hidden if narrow else channels, self.hidden, kernel, form == "separable")
        self.project = output_projection(self.hidden, channels)

    def blank(self, bev: Tensor) -> Tensor:
        """The state before any frame: (B, hidden, H, W) zeros for maps like ``bev`` (B, ..., H, W). At least float32:
        it is a sum over frames, and bf16 would round small updates away."""
        wide = torch.promote_types(bev.dtype, torch.float32)
        return bev.new_zeros(len(bev), self.hidden, *bev.shape[-2:], dtype=wide)

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``; ``dt`` is not read."""
        aligned, mask = self.warp_history(bev, pose, valid)
        frames = self.reduce(aligned.flatten(0, 1)).unflatten(0, valid.shape)
        h = self.cell(frames, self.blank(bev), mask, blank=True)
        return self.add_where_seen(bev, mask, self.project(h.to(bev.dtype)))

    def gate_values(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """See ``TemporalFusion``: update gate z (1: the frame replaces the state) and reset gate r."""
        with outputs_of(self.cell.gate_logits) as logits:
            self(bev, pose, dt, valid)
        z, r = torch.stack(logits, 1).sigmoid().chunk(2, 2)
        return {"z": z, "r": r}
