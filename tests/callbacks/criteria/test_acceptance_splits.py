"""Splits that overlap on purpose are declared; labels and splits without evidence are skipped."""

from __future__ import annotations

import pytest
import torch
from test_acceptance_plan import planned
from toy_evidence import ToyData
from toy_run import ToyModule, judge, statuses

from callbacks import AcceptanceError, LabelsGuard, SplitsGuard
from callbacks.criteria.labels import elsewhere


def test_a_declared_overlap_passes(tmp_path):
    data = ToyData()
    data.evidence.frames = {**data.evidence.frames, "test": data.evidence.frames["val"]}
    guard, _ = planned(tmp_path, SplitsGuard(shared=("test-val",)), data=data)
    assert guard.status == "pass", guard.message
    assert "allowed to overlap: test-val" in guard.message


def test_logs_of_a_split_that_is_not_here_are_compared(tmp_path):
    data = ToyData()
    original = data.evidence.splits
    data.evidence.splits = lambda: {**original(), "test": {"logs": ["log of train"]}}
    with pytest.raises(AcceptanceError, match="train and test share 1 logs"):
        planned(tmp_path, SplitsGuard(), data=data)


def test_without_evidence_they_are_skipped(tmp_path):
    report, _ = judge(tmp_path, ToyModule(), guards=[SplitsGuard(), LabelsGuard()])
    assert statuses(report) == {"splits": "skipped", "labels": "skipped"}


def test_braking_and_starting_are_no_contradiction():
    speed = torch.tensor([[8.0], [8.0], [0.0], [8.0]])
    first = torch.tensor([4.0, 3.4, 0.6, 12.0])
    trajectory = torch.zeros(4, 8, 3)
    trajectory[:, 0, 0] = first
    found = elsewhere({"trajectory": trajectory, "speed": speed})["elsewhere"]
    assert found.tolist() == [False, False, False, True]
