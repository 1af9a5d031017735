"""The scores that are read along a trajectory: of forecast agents that it meets, and of the road that it leaves.

WoTE scores a trajectory by a pooled map. Here the sub-scores NC, TTC, DAC and EP are told, too, what is found at the
trajectory's own poses, as planners with a cost volume do (Zeng et al., "End-to-End Interpretable Neural Motion
Planner", CVPR 2019). EP reads all of it: progress counts where neither a collision nor the road's edge ends it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wotempo.geometry import BevGrid
from wotempo.planners.heads.forecast import Agents
from wotempo.planners.heads.layers import mlp

EGO_LENGTH, EGO_WIDTH, EGO_CENTRE = 5.176, 2.297, 1.461  # metres; the centre's way ahead of the rear axle
SOFT = 0.5  # metres over which touching turns into missing
PERIOD_S = 0.5  # between two poses
AHEAD_S = 1.0  # for which TTC lets the ego go on
SURE = 0.999  # of touching one agent
OFF_ROAD = (0, 2)  # classes of the semantic map that are none to drive on: background, walkway
READS = ("touch", "touch_ahead", "reach")  # per pose, of agents; then "off", "off_mean" of the road
FAR_M = 40.0  # of a trajectory's poses: about what a vehicle drives in 4 s
HIDDEN = 64


class AlongPath(nn.Module):
    """Logits to be added to NC, DAC, EP and TTC of each trajectory."""

    def __init__(self, num_poses: int) -> None:
        super().__init__()
        self.of_agents = mlp(len(READS) * num_poses, HIDDEN, 2)  # NC, TTC
        self.of_road = mlp(2 * num_poses, HIDDEN, 1)  # DAC
        self.of_all = mlp((len(READS) + 2 + 3) * num_poses, HIDDEN, 1)  # EP

    def forward(self, path: Tensor, agents: Agents, road: Tensor, grid: BevGrid) -> Tensor:
        """path (N, P, 3) or (B, N, P, 3): poses of the rear axle, ego axes of now · road (B, K, R, C) logits of the
        semantic map on ``grid`` -> (B, 5, N) in the order NC, DAC, EP, TTC, comfort."""
        path = path.expand(len(road), -1, -1, -1) if path.ndim == 4 else path[None].expand(len(road), -1, -1, -1)
        met, off = meetings(path, agents).flatten(2), off_road(path, road, grid).flatten(2)
        nc, ttc = self.of_agents(met).unbind(-1)
        dac = self.of_road(off).squeeze(-1)
        poses = torch.cat((path[..., :2] / FAR_M, path[..., 2:]), -1).flatten(2)
        ep = self.of_all(torch.cat((met, off, poses), -1)).squeeze(-1)
        return torch.stack((nc, dac, ep, ttc, torch.zeros_like(nc)), 1)


def meetings(path: Tensor, agents: Agents) -> Tensor:
    """path (B, N, P, 3) and K agents -> (B, N, P, 3): the probability that the ego's box at that pose touches an agent,
    one whose centre is ahead of the ego's, and one ahead within what the ego drives in ``AHEAD_S`` more.

    Agents keep their heading. Gaps are measured along and across the ego's heading, between the ego's box and the
    agent's bounding box in that heading, as ``targets.clearance`` does.
    """
    cos, sin = path[..., 2].cos()[:, :, None], path[..., 2].sin()[:, :, None]  # (B, N, 1, P)
    dx = agents.xy[:, None, ..., 0] - path[:, :, None, :, 0] - EGO_CENTRE * cos  # (B, N, K, P)
    dy = agents.xy[:, None, ..., 1] - path[:, :, None, :, 1] - EGO_CENTRE * sin
    ahead, aside = dx * cos + dy * sin, dy * cos - dx * sin
    c, s = (part[:, None, :, None] for part in agents.heading.unbind(-1))
    along_with, across_with = (c * cos + s * sin).abs(), (s * cos - c * sin).abs()
    length, width = (part[:, None, :, None] for part in agents.size.unbind(-1))
    long = (along_with * length + across_with * width + EGO_LENGTH) / 2
    broad = (across_with * length + along_with * width + EGO_WIDTH) / 2
    across = aside.abs() - broad
    before = torch.cat((torch.zeros_like(path[:, :, :1, :2]), path[:, :, :-1, :2]), 2)
    further = torch.linalg.vector_norm(path[..., :2] - before, dim=-1)[:, :, None] * (AHEAD_S / PERIOD_S)
    gap = torch.maximum(ahead.abs() - long, across)
    gap_reached = torch.maximum(torch.maximum(ahead - long - further, -ahead - long), across)
    presence = SURE * agents.presence[:, None, :, None]
    in_front = (ahead / SOFT).sigmoid()
    touch = presence * (-gap / SOFT).sigmoid()
    reads = (touch, touch * in_front, presence * (-gap_reached / SOFT).sigmoid() * in_front)
    return torch.stack([1 - torch.log1p(-hit).sum(2).exp() for hit in reads], -1)


def off_road(path: Tensor, road: Tensor, grid: BevGrid) -> Tensor:
    """path (B, N, P, 3), road (B, K, R, C) logits on ``grid`` -> (B, N, P, 2): the greatest and the mean probability of
    no road under the corners of the ego's box. Beyond the map its border goes on."""
    off = road.softmax(1)[:, list(OFF_ROAD)].sum(1, keepdim=True)
    cos, sin = path[..., 2, None].cos(), path[..., 2, None].sin()
    along = path.new_tensor([1.0, 1.0, -1.0, -1.0]) * EGO_LENGTH / 2 + EGO_CENTRE
    aside = path.new_tensor([1.0, -1.0, -1.0, 1.0]) * EGO_WIDTH / 2
    x = path[..., 0, None] + along * cos - aside * sin  # (B, N, P, 4)
    y = path[..., 1, None] + along * sin + aside * cos
    (c_x, c_y), (h_x, h_y) = grid.centre, grid.half
    places = torch.stack(((y - c_y) / h_y, (x - c_x) / h_x), -1).flatten(2, 3)  # (B, N, P·4, 2) column, row
    under = F.grid_sample(off, places.to(off.dtype), padding_mode="border", align_corners=False)
    under = under.squeeze(1).unflatten(2, (path.shape[2], 4))
    return torch.stack((under.amax(-1), under.mean(-1)), -1)
