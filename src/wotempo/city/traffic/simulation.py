"""The traffic simulation: everyone drives along a fixed path; only the speed along it is decided, every DT seconds.

One step reads all positions, then decides all accelerations: the leader on the own path (IDM), the speed that limits
and bends allow, the stop line where the junction is not granted, and pedestrians on crosswalks ahead.
All state is in arrays over the V vehicles, metres along each vehicle's own path.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from wotempo.city.streets.network import Network
from wotempo.city.traffic.fleet import Fleet, Moods
from wotempo.city.traffic.leaders import Leaders
from wotempo.city.traffic.right_of_way import RightOfWay
from wotempo.city.traffic.routes import STEP, Paths
from wotempo.city.traffic.signals import SignalPlan
from wotempo.city.traffic.walkers import Crossers, CrosswalkWatch

DT = 0.1  # seconds
LOOK_AHEAD = 0.6  # seconds: drivers steer towards the speed that is allowed this much later
NEED, NEED_JERK = -3.0, 15.0  # braking harder than this (m/s²) may build up as fast as this (m/s³)
STOP_SHORT = 0.7  # metres between front bumper and stop line
STOP_EASE = 0.9  # seconds: the allowed speed before a stop is at most distance / STOP_EASE


@dataclass(frozen=True)
class Tracks:
    """What happened: per step T and vehicle V or crossing pedestrian P."""

    s: np.ndarray  # (T, V) metres along the path
    speed: np.ndarray  # (T, V) m/s
    acceleration: np.ndarray  # (T, V) m/s²
    walked: np.ndarray  # (T, P) metres along the crosswalk from where the pedestrian waits
    lights: np.ndarray  # (T, nodes, 2) of signals.GREEN, YELLOW, RED


class Reaction(Protocol):
    """What drivers see beside each other, the lights and the pedestrians on crosswalks."""

    def __call__(self, s: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Gap to a further leader (V,), inf: none; its speed; its acceleration; where on its path each must stop."""


class Simulation:
    """Traffic under way: its state, one step at a time. ``fork`` makes a copy that goes its own way.

    ``s``, ``v``, ``a`` (V,): rear axles along the paths, metres; speed; acceleration. ``k``: steps taken.
    """

    def __init__(
        self, network: Network, paths: Paths, fleet: Fleet, moods: Moods, plan: SignalPlan, crossers: Crossers,
        start: np.ndarray, start_speed: np.ndarray,
    ) -> None:  # fmt: skip
        self.k, self.s, self.v, self.a = 0, start.astype(float), start_speed.astype(float), np.zeros(len(start))
        self._paths, self._fleet, self._moods = paths, fleet, moods
        self._leaders, self._rules = Leaders(network, paths, fleet), RightOfWay(network, paths, fleet)
        self._watch = CrosswalkWatch(network, paths, fleet, crossers)
        self._allowed = allowed_speed(paths, fleet)
        time = np.arange(len(moods.pace)) * DT
        self.lights, self._red_left = plan.state(time), plan.red_left(time)

    @property
    def walked(self) -> np.ndarray:
        """(P,) metres that the crossing pedestrians have walked."""
        return self._watch.walked

    def fork(self) -> Simulation:
        """A copy that shares what never changes."""
        other = copy.copy(self)
        other._leaders, other._rules, other._watch = self._leaders.fork(), self._rules.fork(), self._watch.fork()
        return other

    def step(self, reaction: Reaction | None = None) -> None:
        """Everybody decides and drives for DT seconds."""
        k, s, v, a, fleet, leaders = self.k, self.s, self.v, self.a, self._fleet, self._leaders
        gap, lead_speed, lead_a, leader = leaders.find(s, v, a)
        self._watch.step(s, v, self.lights[k], self._red_left[k], DT)
        walker_stop = self._watch.stops(s, v)
        line = self._rules.step(s, v, self.lights[k], leaders.position, leader, gap, walker_stop)
        halt = np.minimum(line - STOP_SHORT, walker_stop)
        if reaction is not None:
            nearer, speed, braking, seen_stop = reaction(s, v)
            closer = nearer < gap
            gap, halt = np.minimum(gap, nearer), np.minimum(halt, seen_stop)
            lead_speed, lead_a = np.where(closer, speed, lead_speed), np.where(closer, braking, lead_a)
        stop = np.minimum(halt, self._paths.length - 2.0) - (s + fleet.front)
        a = _accelerate(fleet, self._moods, k, self._allowed, s, v, a, gap, lead_speed, lead_a, stop)
        faster = np.maximum(0.0, v + a * DT)
        self.k, self.s, self.v, self.a = k + 1, s + 0.5 * (v + faster) * DT, faster, (faster - v) / DT


def simulate(simulation: Simulation, steps: int, reaction: Reaction | None = None) -> Tracks:
    """What happens in the next ``steps`` steps; the present is the first of them, of which only the result is new."""
    record, first = [], simulation.k
    for _ in range(steps):
        record.append((simulation.s, simulation.v, simulation.a, simulation.walked.copy()))
        simulation.step(reaction)
    places, speeds, accelerations, walked = (np.array(values) for values in zip(*record, strict=True))
    return Tracks(places, speeds, accelerations, walked, simulation.lights[first : first + steps])


def allowed_speed(paths: Paths, fleet: Fleet) -> np.ndarray:
    """(V, P) m/s: limit and bends, lowered ahead of slow places so that comfortable braking suffices."""
    bend = np.sqrt(fleet.lateral[:, None] / np.maximum(np.abs(paths.curvature), 1e-4))
    square = np.minimum(paths.limit * fleet.pace[:, None], bend) ** 2
    ramp = 2 * (0.8 * fleet.brake)[:, None] * STEP * np.arange(square.shape[1])
    return np.sqrt(np.minimum.accumulate((square + ramp)[:, ::-1], 1)[:, ::-1] - ramp)


def _accelerate(
    fleet: Fleet, moods: Moods, k: int, allowed: np.ndarray, s: np.ndarray, v: np.ndarray, a: np.ndarray,
    gap: np.ndarray, lead_speed: np.ndarray, lead_a: np.ndarray, stop: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """(V,) the next acceleration, with limited jerk."""
    count = np.arange(len(s))
    ahead = v * LOOK_AHEAD
    place = np.clip(((s + ahead) / STEP).astype(np.int64), 0, allowed.shape[1] - 1)
    wish = allowed[count, place] * moods.pace[k]
    free = fleet.accelerate * (1 - (v / np.maximum(wish, 0.1)) ** 4)
    steer = (wish - v) / LOOK_AHEAD
    command = np.where(wish < v, np.maximum(steer, -fleet.brake * 1.3), np.minimum(free, steer))
    # The leader, taken as slower if it is braking: anticipation.
    lead = np.maximum(0.0, lead_speed + 0.7 * np.minimum(lead_a, 0.0))
    closing = v * (v - lead) / (2 * np.sqrt(fleet.accelerate * fleet.brake))
    spacing = fleet.gap + np.maximum(0.0, v * fleet.headway + closing)
    command = np.minimum(command, fleet.accelerate * (1 - (spacing / np.maximum(gap, 0.3)) ** 2))
    # A stop: first constant braking, then an exponential approach.
    left = np.maximum(stop - ahead, 0.0)
    ease = fleet.brake * STOP_EASE
    command = np.minimum(command, (np.sqrt(2 * fleet.brake * left + ease**2) - ease - v) / LOOK_AHEAD)
    command = np.where(moods.brake[k] > 0, np.minimum(command, -moods.brake[k]), command)
    command = np.clip(command, -fleet.brake_most, fleet.accelerate)
    down = np.where((command < NEED) | (moods.brake[k] > 0), NEED_JERK, 1.5 * fleet.jerk)
    return a + np.clip(command - a, -down * DT, fleet.jerk * DT)
