"""The vehicle's own way along a trajectory that it is asked to follow: it cannot change its speed at once.

The scorer lets an LQR tracker drive a bicycle model (wotempo.pdm.simulate). Here its longitudinal half stands alone:
the ego stays on the trajectory's own line and reaches on it what the tracker's speed control reaches.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from wotempo.geometry.pose import wrap_angle

STEP_S = 0.1
PERIOD_S = 0.5  # between two poses of a trajectory
AHEAD = 10  # steps by which the control looks ahead
GAIN = 10.0 / 11.0  # of the LQR over one second, 1/s
LAG = STEP_S / (STEP_S + 0.2)  # low pass of the acceleration
STEPS = round(PERIOD_S / STEP_S)


def travelled(path: Tensor, speed: Tensor, accel: Tensor) -> tuple[Tensor, Tensor]:
    """path (B, N, P, 3): poses of the rear axle, ego axes of now · speed (B,) m/s, accel (B,) m/s² now -> metres driven
    and speed (B, N, P·STEPS) after every ``STEP_S``."""
    wanted = _lengths(path) / PERIOD_S  # (B, N, P)
    v, a = (now[:, None].expand(path.shape[:2]) for now in (speed, accel))
    s, metres, speeds = torch.zeros_like(v), [], []
    for t in range(path.shape[2] * STEPS):
        aim = wanted[..., min((t + AHEAD) // STEPS, path.shape[2] - 1)]
        a = a + LAG * (GAIN * (aim - v) - a)
        s, v = s + STEP_S * v, (v + STEP_S * a).clamp(min=0.0)
        metres.append(s)
        speeds.append(v)
    return torch.stack(metres, -1), torch.stack(speeds, -1)


def along(path: Tensor, metres: Tensor) -> Tensor:
    """The pose (B, N, T, 3) after so many metres (B, N, T) on a path (B, N, P, 3); straight on beyond its end."""
    poses = F.pad(path, (0, 0, 1, 0))  # the ego now
    lengths = _lengths(path)
    ends = lengths.cumsum(-1)
    part = (metres[..., None] >= ends[..., None, :-1]).sum(-1)  # (B, N, T), of P

    def of(values: Tensor) -> Tensor:
        return values.gather(2, part)

    rest, length = metres - of(ends - lengths), of(lengths)
    share = (rest / length.clamp(min=1e-3)).clamp(max=1.0)
    begin, end = poses[:, :, :-1], poses[:, :, 1:]
    heading = of(begin[..., 2]) + share * of(wrap_angle(end[..., 2] - begin[..., 2]))
    line = torch.where(lengths > 1e-3, torch.atan2(*(end - begin)[..., [1, 0]].unbind(-1)), end[..., 2])
    return torch.stack(
        (of(begin[..., 0]) + rest * of(line).cos(), of(begin[..., 1]) + rest * of(line).sin(), heading), -1
    )


def _lengths(path: Tensor) -> Tensor:
    """(B, N, P) metres from pose to pose, the first from the ego now."""
    return torch.linalg.vector_norm(path[..., :2] - F.pad(path, (0, 0, 1, 0))[:, :, :-1, :2], dim=-1)
