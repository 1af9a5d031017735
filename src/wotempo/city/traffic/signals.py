"""Traffic lights: fixed-time plans of two phases per junction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GREEN, YELLOW, RED = 0, 1, 2
YELLOW_S, ALL_RED_S = 3.0, 2.0


@dataclass(frozen=True)
class SignalPlan:
    """Cycle of every node (unsignalised nodes have one too; nobody asks for it)."""

    green: np.ndarray  # (n, 2) seconds of green of each phase
    offset: np.ndarray  # (n,) seconds

    @property
    def cycle(self) -> np.ndarray:
        """(n,) seconds."""
        return self.green.sum(1) + 2 * (YELLOW_S + ALL_RED_S)

    def _clock(self, t: np.ndarray) -> np.ndarray:
        """(T, n, 2) seconds since each phase last turned green."""
        since = (t[:, None] + self.offset) % self.cycle
        second = (since - self.green[:, 0] - YELLOW_S - ALL_RED_S) % self.cycle
        return np.stack([since, second], -1)

    def state(self, t: np.ndarray) -> np.ndarray:
        """At times ``t`` (T,): (T, n, 2) of GREEN, YELLOW, RED."""
        clock = self._clock(t)
        return np.where(clock < self.green, GREEN, np.where(clock < self.green + YELLOW_S, YELLOW, RED))

    def red_left(self, t: np.ndarray) -> np.ndarray:
        """(T, n, 2) seconds until the next green; 0 unless red."""
        clock = self._clock(t)
        return np.where(clock < self.green + YELLOW_S, 0.0, self.cycle[:, None] - clock)


def draw_plan(nodes: int, rng: np.random.Generator) -> SignalPlan:
    """Greens of 7 to 14 s: within one log most queues see a change."""
    green = rng.uniform(7.0, 14.0, (nodes, 2))
    return SignalPlan(green, rng.uniform(0.0, 40.0, nodes))
