"""Checks must not make the device wait: at most one value per optimiser step comes to the host."""

from __future__ import annotations

import sys

import pytest
import torch
from toy_drive import loader
from toy_run import ToyModule, judge, ten_guards

READS = ("item", "tolist", "__bool__", "__int__", "__float__", "numpy", "cpu")


@pytest.fixture
def reads(monkeypatch):
    """Counts reads of tensors from files of callbacks/."""
    seen = {"all": 0}

    def counting(method):
        def read(self, *args, **kwargs):
            seen["all"] += "/callbacks/" in sys._getframe(1).f_code.co_filename.replace("tests/callbacks", "")
            return method(self, *args, **kwargs)

        return read

    for name in READS:
        monkeypatch.setattr(torch.Tensor, name, counting(getattr(torch.Tensor, name)))
    return seen


def test_one_read_per_optimiser_step(tmp_path, reads):
    marks = []

    class Counts(ToyModule):
        def on_train_batch_end(self, *args):
            marks.append(reads["all"])

    guards = ten_guards()
    for guard in guards:
        if hasattr(guard, "every"):
            guard.every = 1000  # between two readings of the counters
    judge(tmp_path, Counts(), loader(48), guards=guards, accumulate_grad_batches=2)
    assert marks[-1] > 0
    assert marks[47] - marks[17] == 15 + 0  # 30 batches, 15 steps; the first looks are over
