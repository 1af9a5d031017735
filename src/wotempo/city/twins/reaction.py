"""What drivers do about a changed agent once it is seen: they follow it, or let it pass.

A driver knows where the agent is, how fast it is now and the way that it is taking; he takes it to keep its speed.
"""

from __future__ import annotations

import numpy as np

from wotempo.city.traffic.fleet import Fleet
from wotempo.city.traffic.routes import STEP, Paths
from wotempo.city.twins.motion import NOW, Motion, poses_on

NEAR = 70.0  # metres: who is further away has no time to meet it
ROOM = 0.4  # metres beside the two bodies that drivers keep
LOOK = np.arange(0.0, 4.01, 0.25)  # seconds that they look ahead
SLACK = 3  # steps of LOOK by which the two may miss each other and still count as meeting
SAME_WAY = 0.7  # cosine of the angle between ways on which one follows
STOP_BEFORE, TOO_LATE, SLOWEST = 1.2, 7.0, 2.5  # metres, m/s² that nobody brakes with, m/s


class Reaction:
    """The rule for one member of a pair, from the current frame on; called once a step."""

    def __init__(self, paths: Paths, fleet: Fleet, s: np.ndarray, motion: Motion, size: np.ndarray) -> None:
        self._fleet, self._motion, self._k = fleet, motion, NOW
        self._speed = motion.speed
        self._braking = np.gradient(self._speed, 0.1)
        self._u = np.arange(motion.s[NOW], motion.s[-1] + 12.0, STEP)
        poses = poses_on(motion.line, self._u, motion.ahead)
        here = paths.pose(s)[:, :2]
        self._who = np.flatnonzero(np.hypot(*(here - poses[0, :2]).T) < NEAR)
        self._low = np.full((len(self._who), len(self._u)), np.inf)
        self._high, self._along = np.full_like(self._low, -np.inf), np.zeros_like(self._low)
        for row, v in enumerate(self._who):
            self._meet(row, int(v), paths, float(s[v]), poses, size)
        met = np.isfinite(self._low).any(1)
        self._who, self._low, self._high = self._who[met], self._low[met], self._high[met]
        self._along = self._along[met]
        self._yields = np.zeros(len(self._who), bool)

    def _meet(self, row: int, v: int, paths: Paths, s: float, poses: np.ndarray, size: np.ndarray) -> None:
        """Where on the path of ``v`` the agent's body is, for each of its places."""
        first = int(s / STEP)
        path = paths.poses[v, first : first + int(NEAR / STEP)]
        length, width = float(size[0]), float(size[1])
        reach = np.linspace(-1, 1, 5) * max(length - width, 0.0) / 2
        forward = np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])], 1)
        body = poses[:, None, :2] + reach[None, :, None] * forward[:, None]  # (U, 5, 2)
        gap = np.hypot(*(body[:, :, None] - path[None, None, :, :2]).transpose(3, 0, 1, 2)).min(1)  # (U, P)
        on = gap < (width + float(self._fleet.width[v])) / 2 + ROOM
        some = np.flatnonzero(on.any(1))
        low = on[some].argmax(1)
        self._low[row, some] = (first + low) * STEP
        self._high[row, some] = (first + on.shape[1] - 1 - on[some, ::-1].argmax(1)) * STEP
        self._along[row, some] = np.cos(path[low, 2] - poses[some, 2])

    def __call__(self, s: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """See ``simulation.Reaction``."""
        gap, lead = np.full(len(s), np.inf), np.zeros(len(s))
        lead_a, stop = np.zeros(len(s)), np.full(len(s), np.inf)
        who, k = self._who, min(self._k, len(self._speed) - 1)
        self._k += 1
        if not len(who):
            return gap, lead, lead_a, stop
        speed = float(self._speed[k])
        at = np.clip(((self._motion.s[k] + speed * LOOK - self._u[0]) / STEP).astype(int), 0, len(self._u) - 1)
        low, high, along = self._low[:, at], self._high[:, at], self._along[:, at]  # (n, T)
        front, rear = (s + self._fleet.front)[who, None], (s - self._fleet.rear)[who, None]
        ahead = np.isfinite(low) & (low > front - 1.0)
        follows = ahead & (along > SAME_WAY)
        soon = follows[:, :5]
        rows = np.flatnonzero(soon.any(1))
        t = soon[rows].argmax(1)
        gap[who[rows]] = low[rows, t] - speed * along[rows, t] * LOOK[t] - front[rows, 0]
        lead[who[rows]], lead_a[who[rows]] = speed * along[rows, t], self._braking[k]
        crosses = ahead & ~follows
        pace = np.maximum(v[who], SLOWEST)[:, None] * LOOK
        meets = np.zeros(low.shape, bool)
        for shift in range(-SLACK, SLACK + 1):
            mine = np.clip(np.arange(len(LOOK)) + shift, 0, len(LOOK) - 1)
            meets |= crosses & (front + pace[:, mine] + 1.0 > low) & (rear + pace[:, mine] - 1.0 < high)
        self._yields = crosses.any(1) & (self._yields | meets.any(1))
        place = np.where(crosses, low, np.inf).min(1) - STOP_BEFORE
        possible = v[who] ** 2 / (2 * np.maximum(place - front[:, 0], 0.2)) < TOO_LATE
        stop[who] = np.where(self._yields & possible, place, np.inf)
        return gap, lead, lead_a, stop
