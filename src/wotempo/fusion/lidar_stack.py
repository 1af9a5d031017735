"""Past LiDAR points, moved into the current frame before they are counted: no feature is ever interpolated."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wotempo.errors import UserError
from wotempo.fusion.base import POINTS, RingBuffer, TemporalFusion
from wotempo.fusion.layers import check_kernel, output_projection
from wotempo.geometry import BevGrid

RANGE_M = 150.0  # of a LiDAR: a frame taken farther from a cell than this shows nothing of it


class LidarStackFusion(TemporalFusion):
    """fused histogram = current + P∗relu(K∗[x_1 … x_T]): what enters the LiDAR branch, not what leaves it.

    The x_i are histograms of past points in the *current* axes: the data moves the points (its ``StackCache``) and this
    stage combines, at the level ``points``. The sweeps of nuScenes detectors (Caesar et al., CVPR 2020), with a frame's
    place in the stack for its time stamp. Only current frames are encoded: there is no camera history.
    """

    level = POINTS

    def __init__(self, channels: int, grid: BevGrid, num_frames: int, hidden: int, kernel: int) -> None:
        """``hidden``: channels between the two convolutions. ``kernel``: odd, in cells of the histogram (0.25 m)."""
        super().__init__(channels, grid, num_frames, renormalise=False)
        check_kernel(kernel)
        if num_frames == 1:
            raise UserError("fusion.num_frames is 1, but the stage 'lidar_stack' stacks 2 or more: set fusion=none")
        if hidden < 1:
            raise UserError(f"fusion.hidden is {hidden}: set the number of channels to 1 or more")
        self.read = nn.Conv2d(num_frames * channels, hidden, kernel, padding=kernel // 2)
        self.project = output_projection(hidden, channels, kernel)

    def warp_history(
        self, bev: Tensor, pose: Tensor, valid: Tensor, grid: BevGrid | None = None
    ) -> tuple[Tensor, Tensor]:
        """The maps as they are, since the data has aligned them. The mask follows the sensor's range, not the edge of
        the histogram: points beyond that edge were moved in as well."""
        grid = grid or self.grid
        row, col = (torch.arange(count, device=pose.device, dtype=pose.dtype) for count in grid.shape)
        x, y = grid.to_metres(row[:, None], col[None, :])
        away = torch.hypot(x - pose[..., 0, None, None], y - pose[..., 1, None, None])  # (B, T, H, W)
        mask = (valid[..., None, None] & (away <= RANGE_M))[:, :, None]
        current = valid[:, -1:, None, None, None].expand(-1, -1, 1, *grid.shape)
        mask = torch.cat((mask[:, :-1], current), 1)
        return torch.cat((bev[:, :-1].masked_fill(~mask[:, :-1], 0.0), bev[:, -1:]), 1), mask

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """bev (B, T, 1, rows, cols): histograms in the current axes, in [0, 1]. Otherwise see ``TemporalFusion``;
        ``dt`` is not read. At most ``num_frames`` frames."""
        aligned, mask = self.warp_history(bev, pose, valid)
        update = self.project(self.read(self.full_length(aligned).flatten(1, 2)).relu())
        return self.add_where_seen(bev, mask, update)

    def step(
        self, state: RingBuffer, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor
    ) -> tuple[Tensor, RingBuffer]:
        """Not offered: a histogram that was counted in the axes of an earlier frame cannot be counted again."""
        raise UserError("the stage 'lidar_stack' keeps no points and cannot be streamed: evaluate its windows")
