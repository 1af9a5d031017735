"""Simulated training losses: a shape over the run (from 0 to 1) times noise whose logarithm is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.signal import lfilter

Shape = Callable[[np.ndarray], np.ndarray]
Noise = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
NORMAL = 0.3


def white(spread: float = NORMAL) -> Noise:
    return lambda rng, size: spread * rng.standard_normal(size)


def heavy(spread: float = NORMAL) -> Noise:
    """Student's t with two degrees of freedom: its variance is infinite."""
    return lambda rng, size: spread * rng.standard_t(2, size)


def dependent(phi: float, spread: float = NORMAL) -> Noise:
    """Autoregressive of first order, stationary: neighbours are correlated by ``phi``."""

    def draw(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
        steps = rng.standard_normal(size) * np.sqrt(1 - phi**2)
        steps[:, 0] = rng.standard_normal(size[0])
        return spread * lfilter([1], [1, -phi], steps, axis=1)

    return draw


def drifting(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Half the variance is a slow drift below white noise: an autoregressive model of first order does not fit."""
    return dependent(0.95, NORMAL / np.sqrt(2))(rng, size) + white(NORMAL / np.sqrt(2))(rng, size)


@dataclass(frozen=True)
class Kind:
    """``falls``: should the criterion accept it? ``most``: largest rate of wrong verdicts that the test allows."""

    name: str
    shape: Shape
    falls: bool
    most: float
    batches: int = 300
    noise: Noise = field(default_factory=white)

    def draw(self, count: int, seed: int) -> list[list[float]]:
        rng = np.random.default_rng(seed)
        x = np.arange(self.batches) / self.batches
        return (self.shape(x) * np.exp(self.noise(rng, (count, self.batches)))).tolist()


def flat(x: np.ndarray) -> np.ndarray:
    return np.ones_like(x)


def usual(x: np.ndarray) -> np.ndarray:
    return 0.3 + 0.7 * np.exp(-3 * x)


def warm(x: np.ndarray) -> np.ndarray:
    """Nothing happens in the first tenth, while the rate is low."""
    return np.where(x < 0.1, 1.0, usual((x - 0.1) / 0.9))


def at_once(x: np.ndarray) -> np.ndarray:
    """Down within a hundredth of the run, then a plateau."""
    return 0.3 + 0.7 * np.exp(-100 * x)


def hump(x: np.ndarray) -> np.ndarray:
    """A one-cycle schedule: worse in the middle, best at the end."""
    return 1 - 0.5 * x + 0.3 * np.sin(np.pi * x)


def diverges(x: np.ndarray) -> np.ndarray:
    return np.where(x < 0.5, usual(2 * x), usual(np.ones_like(x)) + 4 * (x - 0.5))


def blows_up(x: np.ndarray) -> np.ndarray:
    """Fine until the last tenth, then beyond the beginning."""
    return usual(x) * np.exp(np.clip(x - 0.9, 0, None) * 60)


KINDS = [
    Kind("flat", flat, False, 0.01, 66),
    Kind("flat", flat, False, 0.01),
    Kind("flat", flat, False, 0.01, 1000),
    Kind("flat, heavy tails", flat, False, 0.01, noise=heavy()),
    Kind("flat, neighbours correlated 0.3", flat, False, 0.01, noise=dependent(0.3)),
    Kind("flat, neighbours correlated 0.6", flat, False, 0.01, noise=dependent(0.6)),
    Kind("flat, neighbours correlated 0.9", flat, False, 0.015, noise=dependent(0.9)),
    Kind("flat, neighbours correlated 0.9", flat, False, 0.05, 66, dependent(0.9)),
    Kind("flat, a drift below the noise", flat, False, 0.09, noise=drifting),
    Kind("rises by 30 %", lambda x: 1 + 0.3 * x, False, 0.01),
    Kind("up and back again", lambda x: 1 + 0.5 * np.sin(np.pi * x), False, 0.01),
    Kind("falls by 0.5 %", lambda x: 1 - 0.005 * x, False, 0.01, noise=white(0.001)),
    Kind("falls, then diverges", diverges, False, 0.01),
    Kind("blows up in the last tenth", blows_up, False, 0.01),
    Kind("usual", usual, True, 0.05, 40),
    Kind("usual", usual, True, 0.01, 66),
    Kind("usual", usual, True, 0.01),
    Kind("usual, heavy tails", usual, True, 0.01, noise=heavy()),
    Kind("usual, neighbours correlated 0.3", usual, True, 0.01, noise=dependent(0.3)),
    Kind("usual, neighbours correlated 0.9", usual, True, 0.3, noise=dependent(0.9)),
    Kind("usual after a warm-up", warm, True, 0.01, 66),
    Kind("down at once, then a plateau", at_once, True, 0.12),
    Kind("down at once, then a plateau", at_once, True, 0.01, 1000),
    Kind("one cycle: worse in the middle", hump, True, 0.05),
    Kind("a step of 40 % at two thirds", lambda x: np.where(x < 0.66, 1.0, 0.6), True, 0.1),
    Kind("slowly, by 30 %", lambda x: 1 - 0.3 * x, True, 0.12),
    Kind("slowly, by 30 %", lambda x: 1 - 0.3 * x, True, 0.01, 1000),
    Kind("slowly, by 10 %, noise 10 %", lambda x: 1 - 0.1 * x, True, 0.18, noise=white(0.1)),
]
