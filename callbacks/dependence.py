"""How much do successive values of a noisy series depend on each other, and what does that cost a test of means?

A rank test counts values as independent. Losses often are not (neighbouring samples, a slow drift, few large batches):
then the same evidence is counted several times, and series without trend look as if they had one. An autoregressive
model of first order measures it: correlation ``phi`` between neighbours, ``phi ** k`` between values ``k`` apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

SHORTEST, SEGMENTS = 24, 4
"""The median over up to four parts of so many values (two of a short series): a sudden fall or rise inside one of them
does not count as dependence."""
NOTICED, MOST = 1.645, 0.99


def autocorrelation(values: Sequence[float]) -> float:
    """``phi`` in [0, ``MOST``] of what is left of the series without the linear trend of each part, from ranks. 0 where
    one in twenty series of independent values shows as much."""
    n = len(values)
    parts = min(max(n // SHORTEST, 2), SEGMENTS)
    edges = [round(i * n / parts) for i in range(parts + 1)]
    phi = median(_of_part(values[a:b]) for a, b in pairwise(edges))
    return 0.0 if phi < NOTICED / math.sqrt(n) else min(phi, MOST)


def _of_part(values: Sequence[float]) -> float:
    n = len(values)
    order = sorted(range(n), key=values.__getitem__)
    residual = [0.0] * n
    for rank, place in enumerate(order):
        residual[place] = rank - (n - 1) / 2
    centre = (n - 1) / 2
    slope = sum((t - centre) * r for t, r in enumerate(residual)) / (n * (n * n - 1) / 12)
    residual = [r - slope * (t - centre) for t, r in enumerate(residual)]
    size = sum(r * r for r in residual)
    if size < 1e-9 * n**3:
        return 0.0  # a straight line, without noise
    measured = sum(a * b for a, b in pairwise(residual)) / size
    # Fitting a line to few values takes some of the dependence away (Kendall's bias, for a line).
    return (measured + 2 / n) / (1 - 4 / n)


def mean_variance(phi: float, n: int) -> float:
    """Variance of the mean of ``n`` successive values of variance 1."""
    if phi == 0:
        return 1 / n
    return (1 + 2 * phi / (1 - phi) * (1 - (1 - phi**n) / (n * (1 - phi)))) / n


def inflation_of_ends(phi: float, n: int, m: int) -> float:
    """Variance of the difference of the means of ``n`` and of ``m`` successive values, over that of independent ones.
    The two are far apart, so that their own correlation is left out."""
    return (mean_variance(phi, n) + mean_variance(phi, m)) / (1 / n + 1 / m)


def inflation_of_kendall(phi: float, n: int, length: int) -> float:
    """Variance of Kendall's S over ``n`` blocks of ``length`` values, over that of independent blocks (Hamed and Rao,
    1998, with the correlations that means of blocks of an autoregressive series have)."""
    if phi == 0:
        return 1.0
    one = mean_variance(phi, length)
    first = phi * ((1 - phi**length) / (1 - phi)) ** 2 / length**2 / one  # of neighbouring blocks
    total = 0.0
    for k in range(1, n - 2):
        between = min(first * phi ** (length * (k - 1)), 1.0)
        ranks = 6 / math.pi * math.asin(between / 2)
        total += (n - k) * (n - k - 1) * (n - k - 2) * ranks
    return 1 + 2 * total / (n * (n - 1) * (n - 2))
