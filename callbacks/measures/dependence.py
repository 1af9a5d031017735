"""The dependence of successive values of a noisy series, and by how much it widens tests that assume none.

A rank test counts values as independent. Losses often are not (neighbouring samples, a slow drift, few large batches):
then the same evidence is counted several times, and series without trend look as if they had one. The model: a part of
the variance is a process that forgets at a constant rate (autoregressive of first order), the rest is independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import mul
from statistics import median_low

SHORTEST, SEGMENTS = 24, 4
"""Lower medians over up to four parts of so many values (two of a short series): a sudden fall inside one of them is a
trend, and must not count as dependence."""
LAGS = 4
NOTICED, MOST = 2.0, 0.99


@dataclass(frozen=True)
class Dependence:
    """Values ``k`` apart are correlated by ``part * phi ** k``."""

    part: float = 0.0
    phi: float = 0.0

    def mean_variance(self, n: int) -> float:
        """Variance of the mean of ``n`` successive values of variance 1."""
        phi = self.phi
        if self.part * phi == 0:
            return 1 / n
        return (1 + 2 * self.part * phi / (1 - phi) * (1 - (1 - phi**n) / (n * (1 - phi)))) / n

    def of_ends(self, n: int, m: int) -> float:
        """Variance of the difference of the means of ``n`` and of ``m`` successive values, over that of independent
        ones. The two are far apart, so that their own correlation is left out."""
        return (self.mean_variance(n) + self.mean_variance(m)) / (1 / n + 1 / m)

    def of_kendall(self, n: int, length: int) -> float:
        """Variance of Kendall's S over ``n`` blocks of ``length`` values, over that of independent blocks (Hamed and
        Rao, 1998, with the correlations that the means of such blocks have)."""
        phi = self.phi
        if self.part * phi == 0:
            return 1.0
        neighbours = self.part * phi * ((1 - phi**length) / (1 - phi) / length) ** 2 / self.mean_variance(length)
        total = 0.0
        for k in range(1, n - 2):
            ranks = 6 / math.pi * math.asin(min(neighbours * phi ** (length * (k - 1)), 1.0) / 2)
            total += (n - k) * (n - k - 1) * (n - k - 2) * ranks
        return 1 + 2 * total / (n * (n - 1) * (n - 2))


def dependence(values: Sequence[float]) -> Dependence:
    """Of what is left of the series without the linear trend of each part, from ranks. None where one in forty series
    of independent values shows as much."""
    n = len(values)
    parts = min(max(n // SHORTEST, 2), SEGMENTS)
    edges = [round(i * n / parts) for i in range(parts + 1)]
    found = [_correlations(values[a:b]) for a, b in pairwise(edges)]
    rho = [median_low(of_lag) for of_lag in zip(*found, strict=True)]
    if rho[0] < NOTICED / math.sqrt(n):
        return Dependence()
    before = sum(rho[:-1])
    forgets = sum(rho[1:]) / before if before > 0 else 0.0  # from one lag to the next, which holds for any ``part``
    phi = min(max(forgets, rho[0]), MOST)
    return Dependence(min(rho[0] / phi, 1.0), phi)


def _correlations(values: Sequence[float]) -> list[float]:
    """Of values 1 to ``LAGS`` apart."""
    n = len(values)
    centre = (n - 1) / 2
    residual = [0.0] * n
    for rank, place in enumerate(sorted(range(n), key=values.__getitem__)):
        residual[place] = rank - centre
    times = [t - centre for t in range(n)]
    slope = sum(map(mul, times, residual)) / (n * (n * n - 1) / 12)
    residual = [r - slope * t for t, r in zip(times, residual, strict=True)]
    size = sum(map(mul, residual, residual))
    if size < 1e-9 * n**3:
        return [0.0] * LAGS  # a straight line, without noise
    found = []
    for k in range(1, LAGS + 1):
        measured = sum(map(mul, residual, residual[k:])) / size
        # Fitting a line to few values takes some of the dependence away (Kendall's bias, for a line).
        found.append((measured + 2 / n) / (1 - (2 + 2 * k) / n))
    return found
