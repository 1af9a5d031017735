"""The failing step is re-run once, and random states are copied once a batch, however many callbacks ask."""

from __future__ import annotations

import json
import math
from functools import partial

import lightning as L
import pytest
from toy_drive import loader
from toy_run import judge

from callbacks import FailureRecorder, FiniteGuard
from callbacks.measures import step as module_of_step
from callbacks.measures.step import StepUnderWay

BAD = 6


def nan_status(number, batch, of_batch):
    if of_batch == number:
        batch["status"][0, 0] = math.nan


@pytest.fixture
def calls(monkeypatch):
    """Names of what was called, in order."""
    found: list[str] = []

    def counted(name):
        original = getattr(module_of_step, name)

        def call(*args, **kwargs):
            found.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(module_of_step, name, call)

    counted("examine")
    counted("random_state")
    return found


def test_one_re_run_and_one_copy_serve_both(tmp_path, calls):
    recorder, finite = FailureRecorder(tmp_path / "failure"), FiniteGuard()
    train = loader(BAD + 2, fault=partial(nan_status, BAD))
    _, raised = judge(tmp_path, train=train, guards=[finite], extra=(recorder,))
    assert raised.step == BAD
    assert calls.count("examine") == 1
    assert calls.count("random_state") == BAD + 1, "one for each batch that began"
    facts = json.loads((tmp_path / "failure" / "facts.json").read_text())
    assert facts["culprit"]["sentence"] == finite.details["culprit"]
    assert facts["culprit"]["sentence"] in str(raised)
    assert facts["culprit"]["stage"] == "forward", "the name that folders written earlier have, too"


def test_without_a_diagnosis_by_the_criterion_the_record_has_one(tmp_path, calls):
    recorder = FailureRecorder(tmp_path / "failure")
    train = loader(BAD + 2, fault=partial(nan_status, BAD))
    judge(tmp_path, train=train, guards=[FiniteGuard(diagnose=False)], extra=(recorder,))
    assert calls.count("examine") == 1
    assert json.loads((tmp_path / "failure" / "facts.json").read_text())["culprit"]["module"] == "head"


def test_a_failure_that_only_warns_is_examined_once(tmp_path, calls):
    train = loader(BAD + 8, fault=partial(nan_status, BAD))
    _, raised = judge(tmp_path, train=train, guards=[FiniteGuard(policy="warn")])
    assert raised is None
    assert calls.count("examine") == 1, "the weights are NaN from then on, at every step"


def test_an_earlier_micro_batch_is_named_by_the_message(tmp_path):
    recorder, finite = FailureRecorder(tmp_path / "failure"), FiniteGuard()
    train = loader(2 * BAD + 4, fault=partial(nan_status, 2 * BAD))
    _, raised = judge(tmp_path, train=train, guards=[finite], extra=(recorder,), accumulate_grad_batches=2)
    assert "the first non-finite output is that of head" in str(raised)
    assert finite.details["batch_idx"] == 2 * BAD


class Held(L.Callback):
    """How many micro-batches are held when each batch has ended."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def on_train_batch_end(self, trainer, *args):
        self.counts.append(len(StepUnderWay.of(trainer).micro_batches))


@pytest.mark.parametrize(
    ("recorded", "counts"), [(False, [0, 0, 0, 0, 0, 0]), (True, [1, 2, 0, 1, 2, 0])], ids=["alone", "recorded"]
)
def test_batches_are_let_go(tmp_path, recorded, counts):
    held = Held()
    extra = (FailureRecorder(tmp_path / "failure"),) if recorded else ()
    # ``judge`` puts the guards behind ``extra``; the look must come last.
    judge(tmp_path, train=loader(6), guards=[FiniteGuard(), held], extra=extra, accumulate_grad_batches=3)
    assert held.counts == counts
