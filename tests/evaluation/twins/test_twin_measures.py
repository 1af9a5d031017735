"""Pair accuracy and equal plans: what is counted, and what garbage gets."""

from __future__ import annotations

import numpy as np
import pytest
from test_twin_bound import scores

from wotempo.evaluation.twins.measures import ONE_PLAN, PREDICTED, TIE, as_one, pair_accuracy

NC = [[1, 0, 0, 1, 0.5, 0], [0, 1, 0, 1, 1, 0.5]]  # anchors 0, 1 and 4 lose it in one scene only; 2 and 5 in both
TRUTH = scores(np.full((2, 6), 0.5), nc=NC)


def predicted(nc, **others):
    found = np.full((2, 5, np.shape(nc)[1]), 0.3)
    for name, values in {"nc": nc, **others}.items():
        found[:, PREDICTED.index(name)] = values
    return found


def test_what_is_predicted_higher_where_the_point_is_kept_is_right():
    right = pair_accuracy(TRUTH, predicted(np.array(NC) * 0.1 + 0.4))
    assert right["accuracy"] == right["accuracy_nc"] == 1
    assert right["cases"] == 3
    assert np.isnan(right["accuracy_ttc"]), "TTC differs nowhere"
    assert pair_accuracy(TRUTH, predicted(0.5 - np.array(NC) * 0.1))["accuracy"] == 0


def test_the_order_of_the_scenes_says_nothing():
    rng = np.random.default_rng(0)
    truth, values = (
        scores(rng.random((2, 40)), nc=rng.integers(0, 2, (2, 40)), ttc=rng.integers(0, 2, (2, 40))),
        rng.random((2, 5, 40)),
    )
    assert pair_accuracy(truth, values) == pair_accuracy(truth[::-1], values[::-1])
    assert pair_accuracy(truth, values)["accuracy"] == pytest.approx(1 - pair_accuracy(truth, values[::-1])["accuracy"])


def test_predictions_without_history_are_ties_and_one_half():
    nothing = predicted(np.random.default_rng(0).random((1, 6)).repeat(2, 0))
    assert pair_accuracy(TRUTH, nothing)["accuracy"] == 0.5
    noise = np.random.default_rng(1).uniform(-TIE / 2, TIE / 2, nothing.shape)
    assert pair_accuracy(TRUTH, nothing + noise)["accuracy"] == 0.5


def test_predictions_that_are_no_numbers_are_wrong_and_no_tie():
    values = predicted(np.array(NC) * 0.1 + 0.4)
    assert pair_accuracy(TRUTH, np.full_like(values, np.nan))["accuracy"] == 0
    values[0, PREDICTED.index("nc"), 0] = np.nan
    assert pair_accuracy(TRUTH, values)["accuracy"] == pytest.approx(2 / 3)


def test_each_sub_score_is_held_against_its_own_prediction():
    ttc = [[1, 1, 1, 0, 1, 1], [1, 1, 1, 1, 1, 1]]
    truth = scores(np.full((2, 6), 0.5), nc=NC, ttc=ttc)
    found = pair_accuracy(truth, predicted(np.array(NC) * 0.1 + 0.4, ttc=1 - np.array(ttc)))
    assert (found["accuracy_nc"], found["accuracy_ttc"], found["accuracy"], found["cases"]) == (1, 0, 0.75, 4)


def test_progress_has_no_point_to_lose():
    truth = scores(np.full((2, 2), 0.5), ep=[[0.1, 0.9], [0.9, 0.1]])
    assert pair_accuracy(truth, predicted([[0.1, 0.1], [0.9, 0.9]], ep=[[0, 1], [1, 0]]))["cases"] == 0


def test_plans_that_agree_are_one():
    plan = np.arange(24.0).reshape(8, 3)
    assert as_one(plan, plan + ONE_PLAN * 0.99)
    assert not as_one(plan, plan + 2 * ONE_PLAN)
    assert not as_one(plan, np.where(plan == 5, np.nan, plan))
    assert not as_one(plan * np.nan, plan * np.nan)
