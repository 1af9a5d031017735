"""What is saved: damaged weights are never written, a file must give the model back, and memory is foreseen."""

from __future__ import annotations

import logging
import math

import lightning as L
import pytest
import torch
from test_acceptance_checkpoint import Spoil, edit
from toy_run import STEPS, ToyModule, all_guards, failing, judge, statuses

from callbacks import CheckpointGuard, MemoryGuard
from callbacks.criteria.memory import steady_growth


class Damage(L.Callback):
    """Right after the last step, where no later forward pass would show it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def on_train_batch_end(self, trainer, pl_module, *args):
        if trainer.global_step == STEPS:
            pl_module.state_dict()[self.name].view(-1)[0] = math.nan


class Buffered(ToyModule):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(3))


@pytest.mark.parametrize("name", ["head.bias", "seen"])
def test_damaged_weights_and_buffers_are_not_written(tmp_path, name):
    report, raised = judge(tmp_path, Buffered(), extra=(Damage(name),), limit_val_batches=0)
    assert failing(report) == ["finite"]
    assert (report.exit_code, raised.criterion) == (10, "finite")
    assert f"first ['{name}']" in str(raised)
    assert not list((tmp_path / "checkpoints").glob("*.ckpt"))


def shift(checkpoint: dict) -> None:
    checkpoint["state_dict"]["head.bias"] += 0.25


def test_a_finite_file_of_other_weights_is_found(tmp_path):
    report, _ = judge(tmp_path, extra=(Spoil(tmp_path / "checkpoints", edit(shift)),))
    assert failing(report) == ["checkpoint"], report.card()
    assert "gives other outputs than the model in memory" in report.guards[1].message


class Hidden(ToyModule):
    """Adds a tensor that is no part of the state dict, but is learned all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = torch.zeros(())

    def forward(self, batch):
        return super().forward(batch) + self.offset

    def training_step(self, batch, batch_idx):
        self.offset = self.offset + 0.01
        return super().training_step(batch, batch_idx)


class Rebuilt(Hidden):
    @classmethod
    def rebuild(cls, checkpoint):
        module = cls()
        module.load_state_dict(checkpoint["state_dict"])
        return module


def test_state_that_the_file_lacks_is_found_by_rebuilding(tmp_path):
    report, _ = judge(tmp_path, Rebuilt())
    assert failing(report) == ["checkpoint"]
    assert "gives other outputs" in report.guards[1].message


def test_a_healthy_file_gives_the_same_outputs_and_leaves_the_model_alone(tmp_path):
    module = ToyModule()
    report, _ = judge(tmp_path, module)
    guard = report.guards[1]
    assert guard.status == "pass"
    assert guard.message.endswith("gives the same outputs")
    assert guard.details["forward_difference"] == 0.0
    saved = torch.load(guard.details["path"], weights_only=True)["state_dict"]
    assert all(torch.equal(value, saved[name]) for name, value in module.state_dict().items())


def test_a_module_without_forward_is_not_blamed(tmp_path):
    class NoForward(ToyModule):
        def forward(self, batch):
            if not self.training:
                raise NotImplementedError
            return super().forward(batch)

    report, _ = judge(tmp_path, NoForward(), limit_val_batches=0)
    assert statuses(report)["checkpoint"] == "pass"
    assert "its forward pass was not compared" in report.guards[1].message


def test_the_forward_pass_can_be_left_out(tmp_path):
    guards = all_guards(checkpoint=CheckpointGuard(forward=False))
    report, _ = judge(tmp_path, guards=guards, extra=(Spoil(tmp_path / "checkpoints", edit(shift)),))
    assert statuses(report)["checkpoint"] == "pass"


def readings(*gigabytes: float):
    values = iter(gigabytes)
    last = gigabytes[-1]
    return lambda device: next(values, last) * 1e9


def told(tmp_path, caplog, *gigabytes: float) -> list[str]:
    guard = MemoryGuard(ceiling_gb=40.0, every=2, read_bytes=readings(*gigabytes))
    with caplog.at_level(logging.WARNING, logger="callbacks.criteria.memory"):
        report, raised = judge(tmp_path, guards=all_guards(memory=guard), max_epochs=2)
    assert raised is None
    assert guard.status == "pass"
    assert report.exit_code == 0
    assert [record.getMessage() for record in caplog.records if record.name == "callbacks.criteria.memory"] == (
        guard.details["warnings"]
    )
    return guard.details["warnings"]


def test_a_peak_near_the_ceiling_is_told_once(tmp_path, caplog):
    assert told(tmp_path, caplog, 10, 37) == ["peak memory 37.00 GB is near the ceiling of 40 GB"]


def test_a_leak_is_foreseen_long_before_the_ceiling(tmp_path, caplog):
    (text,) = told(tmp_path, caplog, *(2 + number for number in range(12)))
    assert "peak memory grows by 500 MB per batch" in text
    assert text.endswith("the ceiling is 40 GB")


def test_caches_that_fill_up_are_no_leak(tmp_path, caplog):
    assert told(tmp_path, caplog, 2, 8, 14, 15, 15.5, 15.5, 15.5, 15.6) == []


def test_growth_needs_steady_samples():
    assert steady_growth([(0, 1.0), (10, 2.0)]) == 0.0
    assert steady_growth([(10 * i, 1.0 + 0.1 * i) for i in range(10)]) == pytest.approx(0.01)
    assert steady_growth([(10 * i, 1.0 + (i > 5)) for i in range(10)]) == 0.0
