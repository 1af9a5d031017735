"""Pedestrians who cross the road, and the vehicles that let them.

A pedestrian waits at the kerb until every approaching vehicle can stop comfortably (and, at lights, until the vehicles
have red for long enough); then walks straight over at a constant speed. From the first step on, vehicles whose time at
the crossing point would overlap with the pedestrian's stop before the crosswalk.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from wotempo.city.streets.network import Network
from wotempo.city.traffic.fleet import Fleet
from wotempo.city.traffic.routes import Paths
from wotempo.city.traffic.signals import RED

KERB = 1.2  # metres behind the kerb where one waits
WALKWAY = 2.0  # metres that they are seen walking before and after
BODY = 2.2  # half of the space that a vehicle needs around a pedestrian, along the crosswalk
TOO_LATE = 6.0  # m/s² of braking above which a vehicle drives on
NEXT = 2  # crosswalks ahead that a driver watches: at a turn the second one is at the exit


@dataclass(frozen=True)
class Crossers:
    """Pedestrians who will cross, per pedestrian (P,)."""

    crosswalk: np.ndarray  # int
    forward: np.ndarray  # bool: from the crosswalk's start to its end
    ready: np.ndarray  # seconds at which they come to the kerb
    pace: np.ndarray  # m/s
    beside: np.ndarray  # metres off the crosswalk's middle line

    def poses(self, network: Network, walked: np.ndarray, dt: float) -> np.ndarray:
        """``walked`` (T, P) of a simulation -> (T, P, 3) local x, y, heading, with the steps before and after it: they
        come over the walkway and leave."""
        ends = np.array([(network.crosswalks[k].start, network.crosswalks[k].end) for k in self.crosswalk])
        ends = np.where(self.forward[:, None, None], ends, ends[:, ::-1])
        along = ends[:, 1] - ends[:, 0]
        length = np.hypot(along[:, 0], along[:, 1])
        along = along / length[:, None]
        left = np.stack([-along[:, 1], along[:, 0]], 1)
        time = np.arange(len(walked))[:, None] * dt
        over = walked >= length + 2 * KERB
        since = np.where(over.any(0), time - over.argmax(0) * dt, -1.0)
        before = np.clip((self.ready - time) * self.pace, 0.0, WALKWAY)
        shown = walked - np.where(walked > 0, 0.0, before) + np.clip(since * self.pace, 0.0, WALKWAY)
        point = ends[:, 0] + along * (shown[..., None] - KERB) + self.beside[:, None] * left
        heading = np.broadcast_to(np.arctan2(along[:, 1], along[:, 0]), shown.shape)
        return np.concatenate([point, heading[..., None]], -1)


def draw_crossers(network: Network, seconds: float, rng: np.random.Generator) -> Crossers:
    """One in 20 s on average at every crosswalk, more between junctions, where each one stops somebody."""
    rows = []
    for k, crosswalk in enumerate(network.crosswalks):
        mean = seconds / (20.0 if crosswalk.node >= 0 else 10.0)
        for _ in range(rng.poisson(mean)):
            forward, (ready, pace, beside) = rng.random() < 0.5, rng.uniform((0.0, 0.9, -1.2), (seconds, 1.8, 1.2))
            rows.append((k, forward, ready, pace, beside))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Crossers(*columns)


class CrosswalkWatch:
    """Both sides of the matter over one simulation."""

    def __init__(self, network: Network, paths: Paths, fleet: Fleet, crossers: Crossers) -> None:
        self._fleet, self._crossers = fleet, crossers
        crosswalks = [network.crosswalks[k] for k in crossers.crosswalk]
        self._length = np.array([c.length for c in crosswalks]) + 2 * KERB
        self._node = np.array([c.node if c.signalised else -1 for c in crosswalks])
        self._phase = np.array([c.phase for c in crosswalks])
        self.walked = np.zeros(len(crosswalks))
        self._going = np.zeros(len(crosswalks), bool)
        self._time = 0.0
        self._start, self._end, self._which, self._across = _crossings_of_paths(network, paths)
        self._next = np.zeros(len(fleet), np.int64)

    def fork(self) -> CrosswalkWatch:
        """A copy that goes its own way."""
        other = copy.copy(self)
        other.walked, other._going, other._next = self.walked.copy(), self._going.copy(), self._next.copy()
        return other

    def _ahead(self) -> tuple[np.ndarray, ...]:
        """Start, end, crosswalk, place across of the NEXT crossings of every vehicle, each (V, NEXT)."""
        at = np.arange(len(self._next))[:, None], self._next[:, None] + np.arange(NEXT)
        return self._start[at], self._end[at], self._which[at], self._across[at]

    def step(self, s: np.ndarray, v: np.ndarray, lights: np.ndarray, red_left: np.ndarray, dt: float) -> None:
        """Pedestrians walk for ``dt``; those who wait may set off."""
        rear = s - self._fleet.rear
        self._next += rear > self._end[np.arange(len(s)), self._next]
        moving = self._going & (self.walked < self._length)
        self.walked[moving] += self._crossers.pace[moving] * dt
        self._time += dt
        waiting = ~self._going & (self._crossers.ready <= self._time)
        lit = self._node >= 0
        red = lights[self._node, self._phase] == RED
        enough = red_left[self._node, self._phase] > self._length / self._crossers.pace - 1.0
        waiting &= ~lit | (red & enough)
        if not waiting.any():
            return
        start, end, which, _ = self._ahead()
        distance = start - (s + self._fleet.front)[:, None]
        dangerous = (distance < (v**2 / 4.0 + 1.0 * v + 1.0)[:, None]) & (v[:, None] > 0.5)
        dangerous |= (distance < 0.3) & (rear[:, None] < end)
        taken = np.unique(which[dangerous & (which >= 0)])
        self._going |= waiting & ~np.isin(self._crossers.crosswalk, taken)

    def stops(self, s: np.ndarray, v: np.ndarray) -> np.ndarray:
        """(V,) where on its path each vehicle must stop for a pedestrian; inf: nowhere."""
        on = np.flatnonzero(self._going & (self.walked < self._length))
        start, end, which, across = (array[..., None] for array in self._ahead())  # (V, NEXT, 1)
        forward = self._crossers.forward[on]
        along = self.walked[on] - KERB
        width = self._length[on] - 2 * KERB
        goal = np.where(forward, across, width - across)  # (V, NEXT, P) the vehicle's way, from the walker's kerb
        pace = self._crossers.pace[on]
        enters, leaves = (goal - BODY - along) / pace, (goal + BODY - along) / pace
        distance = start - (s + self._fleet.front)[:, None, None]
        speed = np.maximum(v, 2.5)[:, None, None]
        arrive, gone = np.maximum(distance, 0.0) / speed, (end - (s - self._fleet.rear)[:, None, None]) / speed + 1.0
        meets = (which == self._crossers.crosswalk[on]) & (leaves > np.maximum(arrive - 0.5, 0.0)) & (enters < gone)
        meets &= (v[:, None, None] ** 2 / (2 * np.maximum(distance, 0.2)) < TOO_LATE) & (distance > -0.5)
        return np.where(meets, start - 0.5, np.inf).min((1, 2), initial=np.inf)


def _crossings_of_paths(network: Network, paths: Paths) -> tuple[np.ndarray, ...]:
    """Per vehicle and crossing along its path, padded: start, end (inf), crosswalk (-1), place across, each (V, K)."""
    of_element: dict[int, list[tuple[float, float, int, float]]] = {}
    for k, crosswalk in enumerate(network.crosswalks):
        for c in crosswalk.crossings:
            of_element.setdefault(c.element, []).append((c.start, c.end, k, c.across))
    rows = []
    for elements, starts in zip(paths.elements, paths.starts, strict=True):
        row = [
            (begin + start, begin + end, k, across)
            for e, begin in zip(elements[elements >= 0], starts, strict=False)
            for start, end, k, across in of_element.get(int(e), ())
        ]
        rows.append(sorted(row))
    most = max(map(len, rows)) + NEXT + 1
    padded = [row + [(np.inf, np.inf, -1, 0.0)] * (most - len(row)) for row in rows]
    table = np.array(padded)
    return table[..., 0], table[..., 1], table[..., 2].astype(np.int64), table[..., 3]
