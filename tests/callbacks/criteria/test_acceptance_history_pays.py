"""History pays where twins are told apart beyond chance and driven the right way round; garbage passes neither."""

from __future__ import annotations

import math

import pytest
from test_acceptance_plan import planned
from toy_evidence import ToyData
from toy_run import ToyModule, judge, statuses

from callbacks import AcceptanceReport, HistoryPaysGuard

NAN = math.nan
GOOD = {"pairs": 40, "districts": 5, "pair_accuracy": (0.85, 0.75, 0.93), "swap_gain": (0.12, 0.05, 0.2),
        "share": (0.6, 0.4, 0.8), "kinds": {"lead": {"pair_accuracy": (0.9, NAN, NAN)}}}  # fmt: skip


def judged(tmp_path, **changes):
    data, guard = ToyData(), HistoryPaysGuard(policy="fail")
    data.evidence.twins = lambda module: {**GOOD, **changes}
    guard, report = planned(tmp_path, guard, data=data)
    return guard, report


def test_what_is_told_apart_and_driven_so_passes(tmp_path):
    guard, _ = judged(tmp_path)
    assert guard.status == "pass", guard.message
    assert guard.measured == 0.75
    assert guard.details["kinds"] == {"lead": {"pair_accuracy": [0.9, None, None]}}, "JSON has no NaN"
    assert "40 pairs of 5 districts" in guard.message


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"pair_accuracy": (0.5, 0.5, 0.5)}, "by chance"),  # constant predictions
        ({"pair_accuracy": (0.8, 0.45, 0.95)}, "by chance"),
        ({"pair_accuracy": (0.0, 0.0, 0.0)}, "by chance"),  # predictions that are no numbers
        ({"pair_accuracy": (0.2, 0.1, 0.3)}, "by chance"),  # the order of the pair mixed up
        ({"swap_gain": (0.0, 0.0, 0.0)}, "the right way round"),  # one plan for both
        ({"swap_gain": (-0.1, -0.2, 0.0)}, "the right way round"),
        ({"swap_gain": (NAN, NAN, NAN)}, "the right way round"),
    ],
)
def test_garbage_fails(tmp_path, changes, why):
    guard, _ = judged(tmp_path, **changes)
    assert guard.status == "fail"
    assert why in guard.message


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"pairs": 7}, "7 pairs are too few"),
        ({"pair_accuracy": (NAN, NAN, NAN)}, "predicts no points"),
        ({"pair_accuracy": (0.9, NAN, NAN)}, "no interval"),
    ],
)
def test_too_little_is_inconclusive(tmp_path, changes, why):
    guard, _ = judged(tmp_path, **changes)
    assert guard.status == "inconclusive"
    assert why in guard.message


def test_without_twins_it_is_skipped(tmp_path):
    data, guard = ToyData(), HistoryPaysGuard(policy="fail")
    data.evidence.twins = lambda module: None
    guard, _ = planned(tmp_path, guard, data=data)
    assert (guard.status, guard.message) == ("skipped", "the validation split has no twin scenes")
    report, _ = judge(tmp_path / "bare", ToyModule(), guards=[HistoryPaysGuard(policy="fail")])
    assert statuses(report) == {"history_pays": "skipped"}
    assert isinstance(report, AcceptanceReport)
