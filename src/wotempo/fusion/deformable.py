"""Deformable attention over the aligned frames: each cell looks around the place where the warp points."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wotempo.errors import UserError
from wotempo.fusion.base import TemporalFusion
from wotempo.fusion.layers import output_projection
from wotempo.geometry import BevGrid
from wotempo.geometry.warp import STRICT


class DeformableFusion(TemporalFusion):
    """fused = current + O∗Σ_{i,p} a_ip⊙(V∗x_i)(cell + Δ_ip): offsets Δ and weights a come from [current, x_i, dt_i].

    Zhu et al., "Deformable DETR" (ICLR 2021), over time as in BEVFormer's temporal self-attention (Li et al., ECCV
    2022). Ego motion is taken out by ``warp_history``; the offsets, at most ``reach`` cells, are for what moved by
    itself. The price of judging one warp only is a second interpolation. Points that leave what a frame shows weigh
    nothing.
    """

    def __init__(
        self,
        channels: int,
        grid: BevGrid,
        num_frames: int,
        heads: int,
        points: int,
        reach: float,
        renormalise: bool,
    ) -> None:
        """Each of the ``heads`` is channels / heads wide (at least 1) and looks at ``points`` places per frame."""
        super().__init__(channels, grid, num_frames, renormalise)
        for name, number in (("heads", heads), ("points", points)):
            if number < 1:
                raise UserError(f"fusion.{name} is {number}: set it to 1 or more")
        if not 0 < reach < max(grid.shape):
            raise UserError(f"fusion.reach is {reach} cells on a map of {grid.shape}: set it between the two, e.g. 2.0")
        self.heads, self.points, self.reach = heads, points, reach
        inner = heads * max(1, channels // heads)
        self.look = nn.Conv2d(2 * channels + 1, heads * points * 3, 1)
        self.value = nn.Conv2d(channels, inner, 1, bias=False)
        self.project = output_projection(inner, channels)

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``."""
        aligned, mask = self.warp_history(bev, pose, valid)
        (b, t), rows = valid.shape, self.grid.rows
        wide = torch.promote_types(bev.dtype, torch.float32)
        time = self.ages(dt, valid).to(bev.dtype)[..., None, None, None].expand_as(aligned[:, :, :1])
        context = torch.cat((bev[:, -1:].expand_as(aligned), aligned, time), 2).flatten(0, 1)
        look = self.look(context).to(wide).unflatten(1, (3, self.heads, self.points))
        logits = look[:, 2].unflatten(0, (b, t))  # (B, T, heads, points, H, W)
        value = self.value(aligned.flatten(0, 1)).to(wide).unflatten(1, (self.heads, -1))
        shown = mask.to(wide).flatten(0, 1)[:, None].expand(-1, self.heads, -1, -1, -1)
        seen_value = torch.cat((value, shown), 2).flatten(0, 1)  # (B·T·heads, d + 1, H, W)
        places = self._places(look[:, :2]).flatten(0, 1)
        with torch.autocast(bev.device.type, enabled=False):  # a bf16 place would be off by a tenth of a cell
            sampled = F.grid_sample(seen_value, places, mode="bilinear", padding_mode="zeros", align_corners=False)
        sampled = sampled.unflatten(0, (b, t, self.heads)).unflatten(4, (self.points, rows))  # (B,T,heads,d+1,P,H,W)
        inside = sampled[:, :, :, -1] > STRICT
        weights = torch.where(inside, logits, torch.finfo(wide).min).transpose(1, 2).flatten(2, 3).softmax(2)
        weights = weights.unflatten(2, (t, self.points)).transpose(1, 2) * inside  # zero where no point is inside
        read = (weights[:, :, :, None] * sampled[:, :, :, :-1]).sum((1, 4)).flatten(1, 2)
        return self.add_where_seen(bev, mask, self.project(read.to(bev.dtype)))

    def _places(self, offsets: Tensor) -> Tensor:
        """offsets (N, 2, heads, points, H, W) of rows and columns, before tanh -> (N, heads, points·H, W, 2) for
        ``grid_sample``."""
        rows, cols = self.grid.shape
        r = (torch.arange(rows, device=offsets.device, dtype=offsets.dtype) + 0.5)[:, None]
        c = torch.arange(cols, device=offsets.device, dtype=offsets.dtype) + 0.5
        moved = self.reach * offsets.tanh()
        v, u = (r + moved[:, 0]) * (2 / rows) - 1, (c + moved[:, 1]) * (2 / cols) - 1
        return torch.stack((u, v), -1).flatten(2, 3)
