"""The forecast head: every cell of a map says whether an agent's centre is in it, and where that agent will be.

Centres on a raster as in Zhou et al., "Objects as Points" (arXiv 1904.07850), with the motion of each beside them as in
Luo et al., "Fast and Furious" (CVPR 2018). One forecast an agent, no alternatives.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wotempo.geometry import BevGrid
from wotempo.planners.backbone.encoder import wide
from wotempo.planners.heads.bev_map import resize

STATE = 7  # channels of a cell before the motion: presence, centre x, y, ln length, ln width, cos, sin of the heading
MOTION_M = 10.0  # metres that one unit of the motion channels stands for
# What an untrained cell says, presence, ln length, ln width and cos: a car, hardly there.
TYPICAL = (-3.0, 1.4, 0.5, 1.0)
RARE = 1e-4  # probabilities beyond 1 - RARE are as good


class Agents(NamedTuple):
    """K forecast agents of each sample."""

    presence: Tensor  # (B, K) probability
    xy: Tensor  # (B, K, 1 + P, 2) metres, ego axes of now: the centre now and at every future pose
    heading: Tensor  # (B, K, 2) cos, sin now
    size: Tensor  # (B, K, 2) length, width, metres


class ForecastHead(nn.Module):
    """The fused map, and where it is folded into it the stage's finer map -> ``STATE + 2·P`` channels on ``grid``."""

    def __init__(self, coarse: int, fine: int, channels: int, grid: BevGrid, num_poses: int) -> None:
        """``coarse`` and ``fine``: channels of the two maps; ``fine`` 0 where there is only one."""
        super().__init__()
        self.grid, self.num_poses = grid, num_poses
        self.coarse = nn.Conv2d(coarse, channels, 1)
        self.fine = nn.Conv2d(fine, channels, 3, padding=1) if fine else None
        self.mix = nn.Conv2d(channels, channels, 3, padding=1)
        self.out = nn.Conv2d(channels, STATE + 2 * num_poses, 1)
        with torch.no_grad():
            nn.init.normal_(self.out.weight, std=0.01)
            bias = torch.zeros(STATE + 2 * num_poses)
            bias[[0, 3, 4, 5]] = torch.tensor(TYPICAL)
            self.out.bias = nn.Parameter(bias)

    def forward(self, coarse: Tensor, fine: Tensor | None) -> Tensor:
        """coarse (B, C, r, c), fine (B, C', r', c') -> (B, STATE + 2·P, *grid.shape), at least float32."""
        x = resize(self.coarse(coarse), self.grid.shape)
        if self.fine is not None:
            assert fine is not None
            x = x + resize(self.fine(fine), self.grid.shape)
        return wide(self.out(F.relu(self.mix(F.relu(x)))))

    def agents(self, cells: Tensor, count: int) -> Agents:
        """The ``count`` likeliest agents of forecast maps (B, STATE + 2·P, R, C)."""
        flat = cells.flatten(2)
        chosen = flat[:, 0].topk(min(count, flat.shape[2]), 1).indices  # (B, K)
        of_bkc = flat.gather(2, chosen[:, None].expand(-1, flat.shape[1], -1)).transpose(1, 2)
        xy = self._centres(chosen) + self._cell(of_bkc) * of_bkc[..., 1:3]
        motion = MOTION_M * of_bkc[..., STATE:].unflatten(-1, (self.num_poses, 2))
        heading, size = F.normalize(of_bkc[..., 5:7], dim=-1), of_bkc[..., 3:5].clamp(-2.0, 3.0).exp()
        places = xy[:, :, None] + F.pad(motion, (0, 0, 1, 0))
        return Agents(of_bkc[..., 0].sigmoid(), places, heading, size)

    def losses(self, cells: Tensor, truth: Tensor) -> Tensor:
        """How far the forecast maps (B, STATE + 2·P, R, C) are from the agents ``truth`` (B, A, 5 + 3·P) of
        ``targets.agent_future``: a scalar.

        Presence: the focal loss of centres, by agent. For the cells of agents, at most one a cell, the nearest: mean
        |error| of centre (cells) and ln size, 1 - cos of the heading's error, and the smooth |error| of the motion
        (m, /2) over the poses at which the agent is known.
        """
        xy, heading, size = truth[..., :2], truth[..., 2], truth[..., 3:5]
        cell, agent = self._cells_of(xy, size[..., 0] > 0)
        there = torch.zeros_like(cells[:, 0]).flatten(1)
        there.scatter_reduce_(1, cell, agent.to(there.dtype), "amax")  # those that do not count name cell 0
        logit = cells[:, 0].flatten(1)
        p = logit.sigmoid().clamp(RARE, 1 - RARE)
        focal = there * (1 - p) ** 2 * F.logsigmoid(logit) + (1 - there) * p**2 * F.logsigmoid(-logit)
        number = agent.sum().clamp(min=1)
        flat = cells.flatten(2)
        of_bac = flat.gather(2, cell[:, None].expand(-1, flat.shape[1], -1)).transpose(1, 2)
        centre = (xy - self._centres(cell)) / self._cell(of_bac)
        place = (of_bac[..., 1:3] - centre).abs().mean(-1)
        extent = (of_bac[..., 3:5] - size.clamp(min=0.1).log()).abs().mean(-1)
        turned = F.normalize(of_bac[..., 5:7], dim=-1)
        turn = 1 - turned[..., 0] * heading.cos() - turned[..., 1] * heading.sin()
        future = truth[..., 5:].unflatten(-1, (self.num_poses, 3))
        error = MOTION_M * of_bac[..., STATE:].unflatten(-1, (self.num_poses, 2)) - (future[..., :2] - xy[..., None, :])
        known = future[..., 2]
        moved = (F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none").mean(-1) * known).sum(-1)
        moved = moved / known.sum(-1).clamp(min=1)
        return (-focal.sum() + ((place + extent + turn + moved / 2) * agent).sum()) / number

    def _cells_of(self, xy: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """The cell of each agent (B, A) int64, and whether the agent counts (B, A) bool: it is on the raster, and no
        nearer one (agents come nearest first) is in the same cell."""
        row, col = (index.round().long() for index in self.grid.to_index(xy[..., 0], xy[..., 1]))
        rows, cols = self.grid.shape
        present = present & (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
        cell = (row * cols + col).where(present, torch.full_like(row, -1))
        same = (cell[:, :, None] == cell[:, None]) & present[:, None]
        first = same.int().argmax(2) == torch.arange(cell.shape[1], device=cell.device)
        counts = present & first
        return cell.where(counts, torch.zeros_like(cell)), counts

    def _centres(self, cell: Tensor) -> Tensor:
        """Cells (B, K), row-major -> (B, K, 2) metres of their centres."""
        cols = self.grid.cols
        return torch.stack(self.grid.to_metres(cell // cols, cell % cols), -1)

    def _cell(self, like: Tensor) -> Tensor:
        """(2,) metres of a cell along x and y."""
        return like.new_tensor([self.grid.cell_x, self.grid.cell_y])
