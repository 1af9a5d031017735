"""The laggard among several ranks: one whose own loss does not fall, which the mean over all would hide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from callbacks.measures.trend import Trend, decreasing_trend

LITTLE = 0.25


@dataclass(frozen=True)
class Laggard:
    """``trend``: of the losses of ``rank``. ``p``: of the rank falling behind the others by chance."""

    rank: int
    trend: Trend
    p: float


def laggard(by_rank: Sequence[Sequence[float]], min_drop: float, alpha: float) -> Laggard | None:
    """The rank furthest behind whose own loss does not fall, while its distance to the mean of the others grows.

    The distance is tested at ``alpha`` over the number of ranks (Bonferroni), since a noisy loss alone may look flat:
    ranks that differ by chance only are blamed with a probability of at most ``alpha``. "Does not fall": by less than
    ``min_drop``, or by less than ``LITTLE`` of what the others' falls, which may be chance at ``alpha``.

    Args:
        by_rank: losses of each rank, equally many of each, at least ``trend.FEWEST``, finite.
    """
    ranks = len(by_rank)
    if ranks < 2:
        return None
    total = [sum(values) for values in zip(*by_rank, strict=True)]
    found = []
    for rank, own in enumerate(by_rank):
        others = [(sum_ - value) / (ranks - 1) for sum_, value in zip(total, own, strict=True)]
        distance = decreasing_trend([other - value for other, value in zip(others, own, strict=True)])
        p = min(1.0, distance.p * ranks)
        if p > alpha:
            continue
        trend, theirs = decreasing_trend(own), decreasing_trend(others)
        if trend.drop < min_drop or (trend.p > alpha and trend.drop < LITTLE * theirs.drop):
            found.append(Laggard(rank, trend, p))
    return min(found, key=lambda each: each.trend.drop, default=None)
