"""A run is complete only if it did all that it was asked to; Lightning returns quietly in most of these cases."""

from __future__ import annotations

import json
import os
import signal

import lightning as L
import pytest
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.utilities.exceptions import SIGTERMException
from toy_drive import loader
from toy_run import STEPS, ToyModule, judge, statuses

from callbacks import CompleteGuard


class At(L.Callback):
    """Does something in the middle of the epoch."""

    def __init__(self, action, batch: int = 30) -> None:
        self.action, self.batch = action, batch

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx == self.batch:
            self.action(trainer)


def stop(trainer: L.Trainer) -> None:
    trainer.should_stop = True


def verdict(tmp_path) -> dict:
    return json.loads((tmp_path / "acceptance" / "verdict.json").read_text())


def test_should_stop_is_incomplete_although_lightning_counts_the_epoch(tmp_path):
    report, raised = judge(tmp_path, extra=(At(stop),))
    assert raised is None
    assert statuses(report)["complete"] == "fail"
    assert "stopped after 31 steps in epoch 1: trainer.should_stop" in report.guards[0].message
    assert (report.status, report.exit_code) == ("incomplete", 15)


def test_max_time_is_incomplete(tmp_path):
    report, raised = judge(tmp_path, max_time={"seconds": 0})
    assert raised is None
    assert (report.status, report.exit_code) == ("incomplete", 15)
    assert verdict(tmp_path)["status"] == "incomplete"


def test_max_time_is_named(tmp_path):
    class Slow(ToyModule):
        def on_train_batch_end(self, *args):
            timer = next(c for c in self.trainer.callbacks if type(c).__name__ == "Timer")
            timer._duration = 1e-9  # as if the time had passed

    report, _ = judge(tmp_path, Slow(), max_time={"hours": 1})
    assert "max_time was used up" in report.guards[0].message
    assert report.exit_code == 15


def test_early_stopping_is_named(tmp_path):
    early = EarlyStopping("val/loss", patience=0, min_delta=1e9)
    report, _ = judge(tmp_path, train=loader(24), max_epochs=5, extra=(early,))
    assert "early stopping" in report.guards[0].message
    assert (report.status, report.exit_code) == ("incomplete", 15)


def stopped_early(folder, declared, values):
    """A run of 5 epochs whose validation measures ``values``, with the criterion's ``min_epochs``."""

    class Measured(ToyModule):
        def on_validation_epoch_end(self):
            self.log("val/ade", values[self.current_epoch])

    early = EarlyStopping("val/ade", patience=1)
    guards = [CompleteGuard(min_epochs=declared)]
    return judge(folder, Measured(), train=loader(6), max_epochs=5, extra=(early,), guards=guards)[0]


@pytest.mark.parametrize(
    ("declared", "values", "status", "says"),
    [
        (3, [3.0, 2.0, 2.0], "accepted", "3 of 5 whole epochs: early stopping ended it (val/ade did not get better"),
        (2, [3.0, 2.0, 2.0], "accepted", "2 were declared as enough"),
        (4, [3.0, 2.0, 2.0], "incomplete", "4 are the least"),
        (1, [float("nan")], "incomplete", "stopped after 6 steps in epoch 2: early stopping"),
        (None, [3.0, 2.0, 2.0], "incomplete", "early stopping"),
    ],
    ids=["enough", "more than enough", "too early", "not finite", "not declared"],
)
def test_early_stopping_that_was_declared_is_complete(tmp_path, declared, values, status, says):
    report = stopped_early(tmp_path, declared, values)
    assert says in report.guards[0].message
    assert report.status == status


def test_another_stop_is_no_early_stopping(tmp_path):
    early = EarlyStopping("val/loss", patience=9)
    guards = [CompleteGuard(min_epochs=1)]
    report, _ = judge(tmp_path, max_epochs=3, extra=(early, At(stop)), guards=guards)
    assert (report.status, report.guards[0].status) == ("incomplete", "fail")


def test_epoch_skipped_by_a_hook_is_incomplete(tmp_path):
    class Skips(ToyModule):
        def on_train_batch_start(self, batch, batch_idx):
            return -1 if batch_idx == 40 else None

    report, _ = judge(tmp_path, Skips())
    assert "an epoch ended before its last batch" in report.guards[0].message
    assert report.exit_code == 15


@pytest.mark.parametrize(
    ("options", "measured", "limit"),
    [
        ({"max_epochs": 2}, 2, 2),
        ({"max_steps": 40, "max_epochs": -1}, 40, 40),
        ({"max_steps": 60, "max_epochs": -1}, 60, 60),  # ends inside the second epoch
        ({"max_steps": 40, "max_epochs": 9}, 40, 40),
        ({"max_steps": 900, "max_epochs": 1}, 1, 1),
        ({"limit_train_batches": 0.9}, 1, 1),
        ({"accumulate_grad_batches": 5}, 1, 1),  # 48 batches: the last step is a short one
    ],
)
def test_targets(tmp_path, options, measured, limit):
    report, raised = judge(tmp_path, **options)
    complete = report.guards[0]
    assert raised is None
    assert (complete.status, complete.measured, complete.limit) == ("pass", measured, limit), complete.message


def test_nothing_trained_is_incomplete(tmp_path):
    report, _ = judge(tmp_path, max_epochs=0)
    assert report.guards[0].message == "no optimiser step was taken"
    assert report.exit_code == 15


def test_resume_from_a_file_saved_during_validation(tmp_path):
    """Lightning does not repeat ``on_train_epoch_end`` for that epoch: a count of our own would be one short."""

    class SaveInValidation(L.Callback):
        def on_validation_end(self, trainer, pl_module):
            if trainer.current_epoch == 0:
                trainer.save_checkpoint(tmp_path / "middle.ckpt")

    judge(tmp_path, train=loader(24), extra=(SaveInValidation(),))
    report, raised = judge(tmp_path, train=loader(24), max_epochs=3, ckpt_path=str(tmp_path / "middle.ckpt"))
    assert raised is None
    assert statuses(report)["complete"] == "pass", report.guards[0].message


def test_sigterm_is_incomplete_with_its_own_code(tmp_path):
    report, raised = judge(tmp_path, extra=(At(lambda trainer: os.kill(os.getpid(), signal.SIGTERM)),))
    assert isinstance(raised, SIGTERMException)
    assert (report.status, report.exit_code) == ("incomplete", 143)
    assert verdict(tmp_path)["reason"].startswith("SIGTERM")
    assert statuses(report)["complete"] == "inconclusive"
    assert verdict(tmp_path)["steps"] == 31


def test_keyboard_interrupt_is_incomplete(tmp_path):
    def interrupt(trainer: L.Trainer) -> None:
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)  # Lightning ignores further interrupts from here on
    try:
        report, raised = judge(tmp_path, extra=(At(interrupt),))
    finally:
        signal.signal(signal.SIGINT, handler)
    assert isinstance(raised, SystemExit)
    assert (report.status, report.exit_code) == ("incomplete", 15)
    assert verdict(tmp_path)["reason"] == "interrupted from the keyboard"


def test_crash_is_a_crash(tmp_path):
    def crash(trainer: L.Trainer) -> None:
        raise KeyError("oops")

    report, raised = judge(tmp_path, extra=(At(crash),))
    assert isinstance(raised, KeyError)
    assert (report.status, report.exit_code) == ("crashed", 1)
    assert "KeyError: 'oops'" in verdict(tmp_path)["reason"]
    assert set(statuses(report).values()) <= {"inconclusive", "pass"}
    assert STEPS > verdict(tmp_path)["steps"] > 0
