"""One rank that does not learn among others that do: found, and not seen where ranks differ by chance only."""

from __future__ import annotations

import numpy as np
import pytest
from loss_curves import Noise, Shape, dependent, flat, heavy, usual, white

from callbacks.measures.laggard import laggard

BATCHES, ALPHA, MIN_DROP = 100, 0.01, 0.01


def runs(count: int, ranks: int, shapes: dict[int, Shape], common: Shape, noise: Noise, seed: int) -> np.ndarray:
    """(count, ranks, batches): all ranks follow ``common`` but those of ``shapes``."""
    rng = np.random.default_rng(seed)
    x = np.arange(BATCHES) / BATCHES
    curves = np.stack([shapes.get(rank, common)(x) for rank in range(ranks)])
    return curves * np.exp(noise(rng, (count * ranks, BATCHES))).reshape(count, ranks, BATCHES)


def found(drawn: np.ndarray) -> list[int | None]:
    each = [laggard(ranks.tolist(), MIN_DROP, ALPHA) for ranks in drawn]
    return [None if one is None else one.rank for one in each]


@pytest.mark.parametrize("ranks", [2, 8])
@pytest.mark.parametrize(
    ("common", "noise"),
    [
        (usual, white()),
        (flat, white()),
        (flat, heavy()),
        (flat, dependent(0.6)),
        (lambda x: 1 - 0.02 * x, white()),  # far below the noise: the loss of a rank alone often does not fall
    ],
    ids=["usual", "flat", "flat, heavy tails", "flat, correlated", "hardly falling"],
)
def test_ranks_that_differ_by_chance_are_not_blamed(ranks, common, noise):
    count = 600 // ranks
    blamed = sum(rank is not None for rank in found(runs(count, ranks, {}, common, noise, seed=ranks)))
    assert blamed <= max(0.02 * count, 2)  # 1 % is promised


@pytest.mark.parametrize("ranks", [2, 8])
@pytest.mark.parametrize("lost", [flat, lambda x: 1 + 0.5 * x], ids=["flat", "rising"])
def test_a_rank_that_does_not_learn_is_found(ranks, lost):
    seen = found(runs(40, ranks, {1: lost}, usual, white(), seed=0))
    assert set(seen) <= {1, None}
    assert seen.count(1) >= 28  # the two ends of a flat loss with 30 % noise may differ by chance


def test_a_rank_with_harder_scenes_is_none():
    """Its loss is three times as large and falls like the others'."""
    assert set(found(runs(40, 4, {2: lambda x: 3 * usual(x)}, usual, white(), seed=0))) == {None}


def test_a_single_rank_has_nobody_to_fall_behind():
    assert found(runs(1, 1, {}, flat, white(), seed=0)) == [None]
