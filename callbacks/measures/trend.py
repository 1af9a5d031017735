"""The decrease of a noisy series, by two one-sided rank tests without distributional assumptions.

A loss goes down in two typical ways, and no single test sees both: steadily (Mann-Kendall on block medians sees it, a
comparison of the two ends may not), or quickly at first and then flat (the ends differ, the trend over all blocks does
not). The series decreased if either test says so at ``alpha / 2`` (Bonferroni), so a series without trend passes with
a probability of at most ``alpha``. Both allow for values that depend on their neighbours (dependence.py).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import NormalDist, median

from callbacks.measures.dependence import dependence

BLOCKS = 20
FEWEST = 24
"""Fewest values that can be judged: below that, 8 against 8 values leave nothing between the two ends."""


@dataclass(frozen=True)
class Trend:
    """early, late: medians of the two ends. drop: relative decrease from early to late. p_ends, p_trend: one-sided
    p-values of the rank-sum test between the ends and of Mann-Kendall over the block medians. correlation: of
    neighbouring values. end: median of the very last values; kept: relative decrease from early to there; p_rise:
    p-value of the rank-sum test for those being larger than the ones before."""

    early: float
    late: float
    drop: float
    p_ends: float
    p_trend: float
    correlation: float
    end: float
    kept: float
    p_rise: float

    @property
    def p(self) -> float:
        """Of a series without trend looking as if it fell, in either way (Bonferroni)."""
        return min(1.0, 2 * min(self.p_ends, self.p_trend))


def decreasing_trend(values: Sequence[float]) -> Trend:
    """Compare the first 2.5 % (8 to 50 values) with the last quarter, and test 20 blocks for a trend. At least
    ``FEWEST`` finite values."""
    n = len(values)
    if n < FEWEST:
        raise ValueError(f"a trend needs at least {FEWEST} values, not {n}")
    ends = min(max(n // 40, 8), 50)  # short: from scratch much of the decrease is over within 5 %
    first, last, final = values[:ends], values[-max(n // 4, 8) :], values[-ends:]
    before = values[-max(n // 2, 2 * ends) : -ends]
    early, late, end = median(first), median(last), median(final)
    depends = dependence(values)
    return Trend(
        early,
        late,
        _relative(early, late),
        rank_sum(first, last, depends.of_ends(len(first), len(last))),
        mann_kendall(block_medians(values), depends.of_kendall(min(BLOCKS, n // 2), max(n // BLOCKS, 2))),
        depends.part * depends.phi,
        end,
        _relative(early, end),
        rank_sum(final, before, depends.of_ends(len(final), len(before))),
    )


def _relative(early: float, late: float) -> float:
    return (early - late) / (max(abs(early), abs(late)) or 1.0)


def block_medians(values: Sequence[float], blocks: int = BLOCKS) -> list[float]:
    """Medians of equal consecutive blocks (sizes differ by one at most): robust to outliers, less autocorrelated."""
    blocks = min(blocks, len(values) // 2)
    edges = [round(i * len(values) / blocks) for i in range(blocks + 1)]
    return [median(values[a:b]) for a, b in pairwise(edges)]


def mann_kendall(values: Sequence[float], inflation: float = 1.0) -> float:
    """One-sided p-value for a decreasing trend (normal approximation, ties corrected, continuity corrected).
    ``inflation``: of the variance, by dependence."""
    n = len(values)
    s = sum((a > b) - (a < b) for a, b in combinations(values, 2))  # > 0: earlier values are larger
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())) / 18
    return _upper_tail(s, inflation * variance)


def rank_sum(first: Sequence[float], last: Sequence[float], inflation: float = 1.0) -> float:
    """One-sided p-value of Mann-Whitney's U for ``first`` being larger than ``last`` (ties and continuity corrected).

    Both at least 8 long for the normal approximation. ``inflation``: of the variance, by dependence.
    """
    n, m = len(first), len(last)
    ordered = sorted(last)
    u = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in first) / 2
    total = n + m
    ties = sum(t**3 - t for t in Counter([*first, *last]).values())
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    return _upper_tail(2 * (u - n * m / 2), 4 * inflation * variance)


def _upper_tail(statistic: float, variance: float) -> float:
    # The statistics step by 2 (pairs change sign), so half a step of continuity correction is 1.
    if variance <= 0:
        return 1.0  # all values are equal
    return 1.0 - NormalDist().cdf((statistic - 1) / math.sqrt(variance))
