"""The oracle control: a stage that is given the true velocity of every agent, as an upper bound for its gain."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wotempo.errors import UserError
from wotempo.fusion.base import TemporalFusion
from wotempo.fusion.layers import output_projection
from wotempo.geometry import BevGrid

FINER = 4  # cells of the drawing along each side of a cell of the map
SPEED = 10.0  # m/s that become 1
WIDTH = 64


class OracleVelocity(TemporalFusion):
    """``stage`` as it is, and the true velocities of the agents drawn into its output.

    The drawing is a raster four times finer than the map (2 m at 8×8): how many agents stand in a cell and their mean
    velocity; two strided convolutions bring it to the map, and a projection that starts at zero adds it. It looks into
    the annotations, so it is no planner: it cannot be driven. What its gain over ``stage`` owes to knowing *where*
    agents are, which a single frame shows, is what it gains without ``velocities``; the rest bounds what history can
    bring.
    """

    needs_motion = True

    def __init__(self, stage: TemporalFusion, velocities: bool = True) -> None:
        """``velocities``: False draws them as zeros. UserError where the stage works on points: there is no map to draw
        into."""
        super().__init__(stage.channels, stage.grid, stage.num_frames, stage.renormalise)
        if stage.takes_points:
            raise UserError("fusion.control is an oracle, but the stage works on points: set fusion.level=bev8")
        self.stage = stage
        self.velocities = velocities
        self.level = stage.level
        self.unjudged = dict(stage.unjudged)
        self.frame_stride = stage.frame_stride
        self.raster = stage.grid.with_shape(FINER * stage.grid.rows, FINER * stage.grid.cols)
        self.read = nn.Sequential(
            nn.Conv2d(3, WIDTH, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.project = output_projection(WIDTH, stage.channels)

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``; what the oracle knows is added by ``reveal``."""
        return self.stage(bev, pose, dt, valid)

    def warp_history(
        self, bev: Tensor, pose: Tensor, valid: Tensor, grid: BevGrid | None = None
    ) -> tuple[Tensor, Tensor]:
        """See ``TemporalFusion``."""
        return self.stage.warp_history(bev, pose, valid, grid)

    def drawing(self, motion: Tensor) -> Tensor:
        """motion (B, A, 5) x, y, v_x, v_y (m, m/s, ego frame), present -> (B, 3, rows, cols): agents per cell, and the
        mean velocity over 10 m/s of those in it. Agents beyond the raster are not drawn."""
        row, col = (index.round().long() for index in self.raster.to_index(motion[..., 0], motion[..., 1]))
        inside = (row >= 0) & (row < self.raster.rows) & (col >= 0) & (col < self.raster.cols)
        present = motion[..., 4] * inside
        cell = (row * self.raster.cols + col).masked_fill(~inside, 0)
        sums = motion.new_zeros(len(motion), 3, self.raster.rows * self.raster.cols)
        speeds = motion[..., 2:4] / SPEED if self.velocities else torch.zeros_like(motion[..., 2:4])
        values = torch.stack((present, *(present * speeds[..., axis] for axis in (0, 1))), 1)
        sums.scatter_add_(2, cell[:, None].expand_as(values), values)
        count = sums[:, :1]
        return torch.cat((count, sums[:, 1:] / count.clamp(min=1.0)), 1).unflatten(2, self.raster.shape)

    def reveal(self, fused: Tensor, motion: Tensor) -> Tensor:
        """fused (B, C, H, W) of ``forward``, motion (B, A, 5) as in ``drawing`` -> (B, C, H, W)."""
        return fused + self.project(self.read(self.drawing(motion).to(fused.dtype))).to(fused.dtype)
