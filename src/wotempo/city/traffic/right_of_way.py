"""The right of way at junctions: the vehicles that may drive in.

A vehicle enters only after it was *granted* its connector: the light allows it, no vehicle that holds a connector in
conflict with it still has to clear that conflict, nobody with priority would arrive meanwhile, and there is room to
leave again. It asks when it comes close enough that it would otherwise have to brake. A grant ends when its rear has
left the connector, or, before the stop line, when the light changes in time to stop.
"""

from __future__ import annotations

import copy

import numpy as np

from wotempo.city.streets.network import Network
from wotempo.city.traffic.fleet import Fleet
from wotempo.city.traffic.routes import Paths
from wotempo.city.traffic.signals import GREEN, RED, YELLOW

MUST_GO = 3.0  # m/s² of braking above which a changing light is passed
GAP_S = 1.5  # seconds left between one who crosses and the one who has priority


class RightOfWay:
    """Grants over one simulation. ``held[v]``: index on v's path of the connector it was granted, or -1."""

    def __init__(self, network: Network, paths: Paths, fleet: Fleet) -> None:
        self._network, self._paths, self._fleet = network, paths, fleet
        count = len(network.elements)
        self._node, self._phase, self._local = np.full(count, -1), np.full(count, -1), np.full(count, -1)
        self._rank = np.zeros(count)
        for n, conflict in enumerate(network.conflicts):
            self._node[conflict.connectors] = n
            self._local[conflict.connectors] = np.arange(len(conflict.connectors))
            self._rank[conflict.connectors] = conflict.yields.sum(1)
        for element, _, phase in network.phases:
            self._phase[element] = phase
        self.held = np.full(len(fleet), -1)
        self._every = np.arange(len(fleet))

    def fork(self) -> RightOfWay:
        """A copy that goes its own way."""
        other = copy.copy(self)
        other.held = self.held.copy()
        return other

    def step(
        self, s: np.ndarray, v: np.ndarray, lights: np.ndarray, position: np.ndarray, leader: np.ndarray,
        gap: np.ndarray, walker_stop: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """(V,) where on its path each vehicle must stop for a junction; inf: nowhere.

        ``position``, ``leader``, ``gap``: of ``Leaders``; ``walker_stop``: of ``CrosswalkWatch``.
        """
        paths, fleet, every = self._paths, self._fleet, self._every
        left = (self.held >= 0) & (s - fleet.rear > paths.starts[every, self.held + 1] + 0.5)
        self.held[left] = -1
        target = np.where(self.held >= 0, self.held, position + 1)  # the granted connector, else the next
        connector = paths.elements[every, target]
        line = np.where(connector >= 0, paths.starts[every, target], np.inf)
        to_line = line - (s + fleet.front)
        signal = self._phase[connector] >= 0
        light = np.where(signal, lights[self._node[connector], self._phase[connector]], GREEN)
        stoppable = (to_line > -0.3) & (v**2 / (2 * np.maximum(to_line, 0.1)) < MUST_GO)
        self.held[(self.held >= 0) & (light != GREEN) & stoppable] = -1

        asks = (self.held < 0) & (connector >= 0) & (to_line < v**2 / (2 * fleet.brake) + 1.2 * v + 5.0)
        asks &= (light == GREEN) | ((light == YELLOW) & ~stoppable)
        asks &= walker_stop > line + 7.0
        lane = paths.elements[every, position]
        behind = (leader >= 0) & (lane[leader] == lane)
        asks &= ~behind | (self.held[leader] == position[leader] + 1)
        after = paths.starts[every, target + 1]
        free = np.where(np.isinf(after), -np.inf, gap)  # a path that ends on the connector needs no room behind it
        room = np.where(behind | (v[leader] > 3.0), np.inf, s + fleet.front + free - after)
        asks &= room > fleet.front + fleet.rear + 2.0
        coming = (self.held < 0) & (connector >= 0) & (light != RED) & (v > 0.5)
        candidates = np.flatnonzero(asks)
        for i in candidates[np.lexsort((to_line[candidates], self._rank[connector[candidates]]))]:
            if self._clear(i, connector[i], s) and not self._cuts_off(i, connector, coming, to_line, v):
                self.held[i] = target[i]
        next_line = paths.starts[every, np.where(self.held >= 0, self.held + 2, target)]
        return np.where(paths.elements[every, np.where(self.held >= 0, self.held + 2, target)] >= 0, next_line, np.inf)

    def _clear(self, i: int, connector: int, s: np.ndarray) -> bool:
        """Nobody who holds a connector of this junction still has to leave the way of ``connector``."""
        node, paths = self._node[connector], self._paths
        holders = np.flatnonzero(self.held >= 0)
        theirs = paths.elements[holders, self.held[holders]]
        here = self._node[theirs] == node
        holders, theirs = holders[here], theirs[here]
        tails = s[holders] - self._fleet.rear[holders] - paths.starts[holders, self.held[holders]]
        clear = self._network.conflicts[node].clear[self._local[theirs], self._local[connector]]
        return not bool(np.any((tails < clear) & (holders != i)))

    def _cuts_off(self, i: int, connector: np.ndarray, coming: np.ndarray, to_line: np.ndarray, v: np.ndarray) -> bool:
        """Someone with priority would arrive before ``i`` is through."""
        node, mine = self._node[connector[i]], self._local[connector[i]]
        conflict = self._network.conflicts[node]
        others = np.flatnonzero(coming & (self._node[connector] == node))
        theirs = self._local[connector[others]]
        prior = conflict.yields[mine, theirs] & (others != i)
        if not prior.any():
            return False
        others, theirs = others[prior], theirs[prior]
        body = self._fleet.front[i] + self._fleet.rear[i]
        through = _travel_time(to_line[i] + conflict.clear[mine, theirs] + body, v[i], 1.3, 6.0)
        arrive = _travel_time(to_line[others] + conflict.reach[theirs, mine], v[others], 1.5, 13.0)
        return bool(np.any(arrive < through + GAP_S))


def _travel_time(distance: np.ndarray, speed: np.ndarray | float, accelerate: float, most: float) -> np.ndarray:
    """Seconds for ``distance`` when speeding up from ``speed`` to at most ``most`` (or keeping a higher speed)."""
    distance, top = np.maximum(distance, 0.0), np.maximum(most, speed)
    ramp = (top**2 - np.square(speed)) / (2 * accelerate)
    short = (np.sqrt(np.square(speed) + 2 * accelerate * distance) - speed) / accelerate
    return np.where(distance < ramp, short, (top - speed) / accelerate + (distance - ramp) / top)
