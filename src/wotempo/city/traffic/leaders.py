"""The leading vehicle of each vehicle."""

from __future__ import annotations

import copy

import numpy as np

from wotempo.city.streets.network import Network
from wotempo.city.traffic.fleet import Fleet
from wotempo.city.traffic.routes import Paths


class Leaders:
    """Keeps track of the element that each vehicle is on, and finds the next vehicle on each one's path.

    ``_along[v, e]`` is where on v's path element e begins next (inf: not on it). A connector that leaves the same lane
    as v's own counts as v's own up to ``_shared[v, e]`` metres, where the two ways have parted.
    """

    def __init__(self, network: Network, paths: Paths, fleet: Fleet) -> None:
        self._network, self._paths, self._fleet = network, paths, fleet
        count = len(fleet)
        self._along = np.full((count, len(network.elements)), np.inf)
        self._shared = np.full((count, len(network.elements)), np.inf)
        self._repeats = np.array([len(set(row[row >= 0])) < (row >= 0).sum() for row in paths.elements])
        self._siblings = _siblings(network)
        self.position = np.zeros(count, np.int64)  # index into paths.elements
        for v in range(count):
            self._index(v)

    def fork(self) -> Leaders:
        """A copy that goes its own way."""
        other = copy.copy(self)
        other._along, other._shared, other.position = self._along.copy(), self._shared.copy(), self.position.copy()
        return other

    @property
    def element(self) -> np.ndarray:
        """(V,) where each rear axle is."""
        return self._paths.elements[np.arange(len(self.position)), self.position]

    def _index(self, v: int) -> None:
        elements, starts = self._paths.elements[v], self._paths.starts[v]
        self._along[v], self._shared[v] = np.inf, np.inf
        for k in range(len(elements) - 1, self.position[v] - 1, -1):
            if elements[k] < 0:
                continue
            for sibling, shared in self._siblings.get(int(elements[k]), ()):
                self._along[v, sibling], self._shared[v, sibling] = starts[k], shared
            self._along[v, elements[k]], self._shared[v, elements[k]] = starts[k], np.inf

    def find(self, s: np.ndarray, v: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, ...]:
        """Gap bumper to bumper (V,), the leader's speed and acceleration, and its index (-1: nobody, gap inf)."""
        every = np.arange(len(s))
        moved = np.flatnonzero(s >= self._paths.starts[every, self.position + 1])
        self.position[moved] += 1
        for m in moved[self._repeats[moved]]:
            self._index(m)
        element = self.element
        offset = s - self._paths.starts[every, self.position]
        ahead = self._along[:, element] + offset - s[:, None]
        tail = offset - self._fleet.rear
        counts = (ahead > 0) & (tail < self._shared[:, element])
        counts[every, every] = False
        gaps = np.where(counts, ahead - self._fleet.rear - self._fleet.front[:, None], np.inf)
        leader = gaps.argmin(1)
        gap = gaps[every, leader]
        nobody = np.isinf(gap)
        return gap, np.where(nobody, 0.0, v[leader]), np.where(nobody, 0.0, a[leader]), np.where(nobody, -1, leader)


def _siblings(network: Network) -> dict[int, list[tuple[int, float]]]:
    """connector -> the other ways out of its lane, with the metres that they share."""
    found: dict[int, list[tuple[int, float]]] = {}
    for conflict in network.conflicts:
        for i, j in zip(*np.nonzero(conflict.diverge > 0), strict=True):
            found.setdefault(int(conflict.connectors[i]), []).append(
                (int(conflict.connectors[j]), float(conflict.diverge[j, i]))
            )
    return found
