"""Attention over time, cell by cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wotempo.errors import UserError
from wotempo.fusion.base import TemporalFusion
from wotempo.fusion.layers import output_projection
from wotempo.geometry import BevGrid

MOTION = 5  # x and y in half extents, sin and cos - 1 of the heading, seconds: all zero for the current frame


class AttentionFusion(TemporalFusion):
    """fused = current + O∗Σ_i a_i⊙(V∗x_i): every cell of the current map asks the same cell of the aligned frames.

    Vaswani et al. (2017) over the time axis. Keys carry where a frame was taken from and when (a linear embedding of
    relative pose and age); values carry the map alone, so that ego motion steers what is read and is not read itself.
    Frames that do not show a cell are masked; the current one is always among the keys.
    """

    def __init__(self, channels: int, grid: BevGrid, num_frames: int, heads: int, renormalise: bool) -> None:
        """Each of the ``heads`` is channels / heads wide (at least 1)."""
        super().__init__(channels, grid, num_frames, renormalise)
        if heads < 1:
            raise UserError(f"fusion.heads is {heads}: set it to 1 or more")
        self.heads = heads
        inner = heads * max(1, channels // heads)
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1, bias=False)  # a bias would be the same for all frames: no effect
        self.value = nn.Conv2d(channels, inner, 1, bias=False)
        self.embed = nn.Linear(MOTION, inner, bias=False)
        self.project = output_projection(inner, channels)

    def _motion(self, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """pose (B, T, 3), dt and valid (B, T) -> (B, T, MOTION), zero for missing frames and the current one."""
        h_x, h_y = self.grid.half
        x, y, heading = pose.unbind(-1)
        features = torch.stack((x / h_x, y / h_y, heading.sin(), heading.cos() - 1, dt.to(pose.dtype)), -1)
        past = valid & (torch.arange(valid.shape[1], device=valid.device) < valid.shape[1] - 1)
        return features.masked_fill(~past[..., None], 0.0)

    def _heads(self, x: Tensor) -> Tensor:
        """(..., inner, H, W) -> (..., heads, d, H, W), at least float32."""
        return x.to(torch.promote_types(x.dtype, torch.float32)).unflatten(-3, (self.heads, -1))

    def _weights(self, aligned: Tensor, mask: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """Of the aligned frames and their mask -> (B, T, heads, H, W), with the sum 1 over T."""
        motion = self.embed(self._motion(pose, dt, valid).to(aligned.dtype))[..., None, None]
        key = self._heads(self.key(aligned.flatten(0, 1)).unflatten(0, valid.shape) + motion)
        query = self._heads(self.query(aligned[:, -1]))
        logits = (query[:, None] * key).sum(3) / query.shape[2] ** 0.5  # (B, T, heads, H, W)
        shown = torch.cat((mask[:, :-1], torch.ones_like(mask[:, -1:])), 1)
        return logits.masked_fill(~shown, float("-inf")).softmax(1)

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``."""
        aligned, mask = self.warp_history(bev, pose, valid)
        weights = self._weights(aligned, mask, pose, dt, valid)
        value = self._heads(self.value(aligned.flatten(0, 1)).unflatten(0, valid.shape))
        read = (weights[:, :, :, None] * value).sum(1).flatten(1, 2)
        return self.add_where_seen(bev, mask, self.project(read.to(bev.dtype)))

    def gate_values(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """See ``TemporalFusion``: attention weights a of the frames, by head."""
        aligned, mask = self.warp_history(bev, pose, valid)
        return {"a": self._weights(aligned, mask, pose, dt, valid)}
