"""The scores that are read along a trajectory: of forecast agents that it meets, and of the road that it leaves.

WoTE scores a trajectory by a pooled map. Here the sub-scores are told, too, what is found where the ego would be on
the trajectory, as planners with a cost volume do (Zeng et al., "End-to-End Interpretable Neural Motion Planner", CVPR
2019): a collision costs NC and progress, the road's edge DAC and progress, and both depend on the speed now.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wotempo.geometry import BevGrid
from wotempo.planners.heads.forecast import Agents
from wotempo.planners.wote.followed import PERIOD_S, STEPS, along, travelled

EGO_LENGTH, EGO_WIDTH, EGO_CENTRE = 5.176, 2.297, 1.461  # metres; the centre's way ahead of the rear axle
SOFT = 0.2  # metres over which touching turns into missing
IN_FRONT = 0.5  # metres over which beside turns into in front
LOOKS = (0, 2, 4)  # steps of ``followed``, of those between two poses, after which agents are met
AHEAD_S = (0.3, 0.6, 0.9)  # for which TTC lets the ego go straight on
DRIVES = 0.1  # m/s; who is slower is not at fault
MOVES = 0.3  # metres between two poses from which on an agent's heading is that of its motion
SURE = 0.999  # of touching one agent
OFF_ROAD = (0, 2)  # classes of the semantic map that are none to drive on: background, walkway
READS = ("touch", "touch_driving", "touch_in_front", "touch_ahead")  # per pose, of agents; then "off", "off_mean"
FAR_M = 40.0  # of a trajectory's poses: about what a vehicle drives in 4 s
SPEED, ACCEL = 4, 6  # of the status vector, along x
HIDDEN = 64


class AlongPath(nn.Module):
    """Logits to be added to NC, DAC, EP, TTC and comfort of each trajectory."""

    def __init__(self, num_poses: int, status_size: int) -> None:
        super().__init__()
        self.scores = nn.Sequential(
            nn.Linear((len(READS) + 2 + 3 + 3) * num_poses + status_size, 2 * HIDDEN),
            nn.ReLU(),
            nn.Linear(2 * HIDDEN, 2 * HIDDEN),
            nn.ReLU(),
            nn.Linear(2 * HIDDEN, 5),
        )

    def forward(self, path: Tensor, status: Tensor, agents: Agents, road: Tensor, grid: BevGrid) -> Tensor:
        """path (N, P, 3) or (B, N, P, 3): poses of the rear axle, ego axes of now · status (B, 8) · road (B, K, R, C)
        logits of the semantic map on ``grid`` -> (B, 5, N) in the order NC, DAC, EP, TTC, comfort."""
        path = path.expand(len(road), -1, -1, -1) if path.ndim == 4 else path[None].expand(len(road), -1, -1, -1)
        status = status.to(path.dtype)
        metres, speed = travelled(path, status[:, SPEED], status[:, ACCEL])
        driven = along(path, metres)
        looks = [STEPS * pose + step for pose in range(path.shape[2]) for step in LOOKS]
        times = path.new_tensor([(look + 1) / STEPS for look in looks])
        met = meetings(driven[:, :, looks], speed[:, :, looks], agents, times).unflatten(2, (path.shape[2], -1)).amax(3)
        ends = driven[:, :, STEPS - 1 :: STEPS]
        scale = path.new_tensor([FAR_M, FAR_M, 1.0])
        told = (met, off_road(ends, road, grid), ends / scale, path / scale)
        about = status[:, None].expand(-1, path.shape[1], -1)
        return self.scores(torch.cat((*(part.flatten(2) for part in told), about), -1)).transpose(1, 2)


def meetings(driven: Tensor, speed: Tensor, agents: Agents, times: Tensor) -> Tensor:
    """driven (B, N, T, 3), speed (B, N, T) at ``times`` (T,) in poses from now, and K agents -> (B, N, T, 4), the
    probabilities of ``READS``: that the ego's box touches an agent, touches one while it drives, one in front of it,
    and one in front of it now or when it goes straight on for up to ``AHEAD_S``.

    Gaps are measured along and across the ego's heading, between the ego's box and the agent's bounding box in that
    heading, as ``targets.clearance`` does. Agents go on as in their last half second.
    """
    drives = ((speed - DRIVES) / 0.05).sigmoid()
    touch, front = _touching(driven, agents, times)
    met, in_front = _some(touch), _some(touch * front)
    ahead = [in_front]
    for seconds in AHEAD_S:
        further = speed * seconds
        x, y, heading = driven.unbind(-1)
        moved = torch.stack((x + further * heading.cos(), y + further * heading.sin(), heading), -1)
        ahead.append(_some(torch.mul(*_touching(moved, agents, times + seconds / PERIOD_S))))
    return torch.stack((met, met * drives, in_front * drives, torch.stack(ahead).amax(0) * drives), -1)


def _some(hit: Tensor) -> Tensor:
    """(B, N, K, T) probabilities of hitting each -> (B, N, T) of hitting any."""
    return 1 - torch.log1p(-hit).sum(2).exp()


def _touching(driven: Tensor, agents: Agents, times: Tensor) -> tuple[Tensor, Tensor]:
    """driven (B, N, T, 3), times (T,) in poses from now -> probabilities (B, N, K, T) that the ego touches each agent,
    and that its centre is ahead of the ego's."""
    xy, (c, s) = _at(agents, times)
    x, y, heading = (part[:, :, None] for part in driven.unbind(-1))  # (B, N, 1, T)
    cos, sin = heading.cos(), heading.sin()
    dx, dy = xy[:, None, ..., 0] - x - EGO_CENTRE * cos, xy[:, None, ..., 1] - y - EGO_CENTRE * sin
    ahead, aside = dx * cos + dy * sin, dy * cos - dx * sin
    along_with, across_with = (c * cos + s * sin).abs(), (s * cos - c * sin).abs()
    length, width = (part[:, None, :, None] for part in agents.size.unbind(-1))
    long = (along_with * length + across_with * width + EGO_LENGTH) / 2
    broad = (across_with * length + along_with * width + EGO_WIDTH) / 2
    gap = torch.maximum(ahead.abs() - long, aside.abs() - broad)
    return SURE * agents.presence[:, None, :, None] * (-gap / SOFT).sigmoid(), (ahead / IN_FRONT).sigmoid()


def _at(agents: Agents, times: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Centres (B, K, T, 2) at ``times`` (T,) in poses from now, and cos and sin (B, 1, K, T) of the headings then."""
    begin = times.long().clamp(max=agents.xy.shape[2] - 2)
    steps = agents.xy.diff(dim=2)[:, :, begin]
    xy = agents.xy[:, :, begin] + (times - begin)[:, None] * steps
    moves = torch.linalg.vector_norm(steps, dim=-1, keepdim=True) > MOVES
    heading = torch.where(moves, F.normalize(steps.detach(), dim=-1), agents.heading[:, :, None])
    return xy, (heading[:, None, ..., 0], heading[:, None, ..., 1])


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
