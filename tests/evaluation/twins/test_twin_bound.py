"""The bound of a pair: what choosing once for both scenes costs."""

from __future__ import annotations

import numpy as np
import pytest

from wotempo.evaluation.twins.bound import SCORES, bound_of


def scores(pdms, **others):
    """(2, rows, N) of PDMS (2, N); other rows are 1 unless they are given."""
    found = np.ones((2, len(SCORES), np.shape(pdms)[1]))
    for name, values in {"pdms": pdms, **others}.items():
        found[:, SCORES.index(name)] = values
    return found


def test_the_blind_choice_is_one_anchor_for_both():
    pdms = [[0.9, 0.0, 0.6], [0.0, 0.8, 0.6]]  # going, waiting, creeping
    nc = [[1, 0, 1], [0, 1, 1]]
    found = bound_of(scores(pdms, nc=nc, ttc=[[1, 1, 0], [1, 1, 0]]))
    assert found["blind"] == pytest.approx(0.6)
    assert found["knowing"] == pytest.approx(0.85)
    assert (found["blind_nc"], found["knowing_nc"], found["most_blind_nc"], found["most_knowing_nc"]) == (1, 1, 1, 1)
    assert (found["blind_ttc"], found["knowing_ttc"]) == (0, 1), "of the anchor that is best by PDMS"
    assert found["most_blind_ttc"] == 1


def test_equal_scenes_leave_no_headroom():
    same = np.random.default_rng(0).random((1, len(SCORES), 50)).repeat(2, 0)
    found = bound_of(same)
    assert found["knowing"] == found["blind"] == same[0, SCORES.index("pdms")].max()


def test_no_choice_of_one_anchor_passes_the_blind_bound():
    rng = np.random.default_rng(1)
    for _ in range(20):
        pair = rng.random((2, len(SCORES), 8))
        found, pdms = bound_of(pair), pair[:, SCORES.index("pdms")]
        assert all(pdms[:, anchor].mean() <= found["blind"] + 1e-12 for anchor in range(8))
        assert found["blind"] <= found["knowing"]
        best = max(pdms[0, a] + pdms[1, b] for a in range(8) for b in range(8)) / 2
        assert found["knowing"] == pytest.approx(best)


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        bound_of(scores([[0.1, np.nan], [0.1, 0.2]]))
