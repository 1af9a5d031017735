"""A failing step is written down, explained, and can be done again from the files alone."""

from __future__ import annotations

import json
import math
from functools import partial

import lightning as L
import pytest
import torch
from lightning.pytorch.plugins import Precision
from torch import nn
from toy_drive import loader
from toy_run import ToyModule, judge, ten_guards

from callbacks import FailureRecorder, FiniteGuard, Record, reenact

BAD_STEP = 20
STEPS = 32


class Dropping(ToyModule):
    """With dropout, so that a step can only come back with its random state; hyper-parameters as a project has them."""

    def __init__(self, frames: int = 4, noise: float = 0.0, rate: float = 0.01) -> None:
        super().__init__(frames, noise)
        self.save_hyperparameters()
        self.rate = rate
        self.head = nn.Sequential(nn.Dropout(0.5), self.head)

    def shape_contract(self, split):
        return {name: text for name, text in super().shape_contract(split).items() if name != "head:out"}

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.rate)


class Break(L.Callback):
    """``how(trainer, pl_module)`` just before step BAD_STEP."""

    def __init__(self, how) -> None:
        self.how = how

    def on_train_batch_end(self, trainer, pl_module, *args):
        if trainer.global_step == BAD_STEP:
            self.how(trainer, pl_module)


def nan_weight(trainer, pl_module):
    with torch.no_grad():
        pl_module.encoder[0].weight[1, 0, 2, 3] = math.nan


def huge_rate(trainer, pl_module):
    trainer.optimizers[0].param_groups[0]["lr"] = 1e30


def nan_field(name, place, batch, number):
    if number == BAD_STEP:
        batch[name][place] = math.nan


def fail(folder, module=None, how=None, train=None, guards=None, **options):
    recorder = FailureRecorder(folder / "failure")
    extra = (recorder,) if how is None else (recorder, Break(how))
    module = Dropping() if module is None else module
    return judge(folder, module, train or loader(STEPS), extra=extra, guards=guards, **options)


def again(folder, module=None):
    record = Record.read(folder / "failure")
    module = Dropping(**record.weights["hyper_parameters"]) if module is None else module
    return record, reenact(record, module, Precision())


def only_finite():
    return [FiniteGuard()]


DATA = partial(nan_field, "status", (2, 0))
POSE = partial(nan_field, "pose", (1, 0, 2))


@pytest.mark.parametrize(
    ("options", "cause", "module"),
    [
        ({"train": partial(loader, STEPS, fault=DATA)}, "data", "head.0"),
        ({"train": partial(loader, STEPS, fault=POSE)}, "ego-motion or warp", ""),
        ({"how": nan_weight}, "weights that were damaged before this step", "encoder.0"),
        ({"how": huge_rate}, "learning rate", ""),
    ],
    ids=["data", "pose", "weight", "rate"],
)
def test_a_fault_is_explained_and_comes_back(tmp_path, options, cause, module):
    options = {**options, "train": options["train"]()} if "train" in options else options
    _, raised = fail(tmp_path, guards=only_finite(), **options)
    assert raised is not None
    assert raised.criterion == "finite"
    page = (tmp_path / "failure" / "diagnosis.md").read_text()
    assert f"Likeliest cause: {cause}." in page, page
    record, outcome = again(tmp_path)
    assert outcome.reproduced, outcome.lines
    if module:
        assert record.facts["culprit"]["module"] == module
        assert any(module in line for line in outcome.lines)
    assert record.facts["tokens"] == [token for token in record.step["micro_batches"][0]["batch"]["tokens"]]


def test_files_hold_the_step(tmp_path):
    _, raised = fail(tmp_path, guards=only_finite(), train=loader(STEPS, fault=DATA))
    record = Record.read(tmp_path / "failure")
    assert (record.facts["step"], record.facts["weights_are"]) == (raised.step, "before") == (BAD_STEP, "before")
    batch = record.step["micro_batches"][0]["batch"]
    assert math.isnan(batch["status"][2, 0])
    assert record.facts["fields"]["status"]["token"] == batch["tokens"][2]
    history = record.facts["history"]
    assert len(history["loss"]) == len(history["gradient"]) == len(history["learning_rates"]) == BAD_STEP + 1
    assert all(isinstance(value, float) for value in history["loss"][:-1] + history["gradient"][:-1])
    assert set(history["terms"]) == {"position", "heading"}
    assert record.weights["optimisers"][0]["state"]
    json.loads((tmp_path / "failure" / "facts.json").read_text())


def test_a_healed_step_is_not_reproduced(tmp_path):
    fail(tmp_path, guards=only_finite(), train=loader(STEPS, fault=DATA))
    step = torch.load(tmp_path / "failure" / "step.pt", weights_only=True)
    step["micro_batches"][0]["batch"]["status"][2, 0] = 5.0
    torch.save(step, tmp_path / "failure" / "step.pt")
    assert not again(tmp_path)[1].reproduced


class NanTermUnderDropout(Dropping):
    """One term is NaN and the other depends on the dropout of that step."""

    def losses(self, batch):
        terms = super().losses(batch)
        bad = self.training and (self._trainer is None or self.global_step == BAD_STEP)
        return {**terms, "heading": terms["heading"] * math.nan} if bad else terms


def test_random_state_is_that_before_the_step(tmp_path):
    fail(tmp_path, NanTermUnderDropout(), guards=only_finite())
    record, outcome = again(tmp_path, NanTermUnderDropout())
    assert outcome.reproduced
    assert outcome.lines[-1] == "the finite loss terms agree with the recorded ones to 0.0e+00 (relative)"
    micro = record.step["micro_batches"][0]
    micro["rng"]["torch"] = torch.Generator().manual_seed(99).get_state()
    changed = reenact(record, NanTermUnderDropout(), Precision())
    assert changed.lines[-1] != outcome.lines[-1]


def test_the_guilty_micro_batch_of_an_accumulated_step(tmp_path):
    bad = 2 * BAD_STEP  # the first of the two of its step

    def fault(batch, number):
        if number == bad:
            batch["status"][0, 0] = math.nan

    fail(tmp_path, guards=only_finite(), train=loader(bad + 4, fault=fault), accumulate_grad_batches=2)
    record, outcome = again(tmp_path)
    facts = record.facts
    assert (facts["micro_batch"], facts["micro_batches"], facts["batch_idx"]) == (0, 2, bad)
    assert outcome.reproduced, outcome.lines


def test_what_is_wrong_with_a_batch_comes_back(tmp_path):
    def fault(batch, number):
        batch["trajectory"] = batch["trajectory"].long() if number == 0 else batch["trajectory"]

    report, _ = fail(tmp_path, train=loader(STEPS, fault=fault))
    assert report.exit_code == 14
    record, outcome = again(tmp_path)
    assert record.facts["criterion"] == "shapes"
    assert outcome.reproduced, outcome.lines


class Crash(Dropping):
    def losses(self, batch):
        if self.training and (self._trainer is None or self.global_step == BAD_STEP):
            raise KeyError("speed_limit")
        return super().losses(batch)


def test_a_crash_comes_back(tmp_path):
    report, _ = fail(tmp_path, Crash())
    assert report.exit_code == 1
    assert again(tmp_path, Crash())[1].reproduced
    assert not again(tmp_path, Dropping())[1].reproduced


class Unstable(nn.Module):
    """A recurrence that squares its state: it overflows from harmless inputs as soon as it is armed."""

    def __init__(self, fusion: nn.Module) -> None:
        super().__init__()
        self.fusion, self.cell, self.armed = fusion, Square(), False

    def align(self, *args):
        return self.fusion.align(*args)

    def forward(self, bev, pose, valid):
        out = self.fusion(bev, pose, valid)
        if not self.armed:
            return out
        state = out.abs() + 10.0
        for _ in range(7):
            state = self.cell(state)
        return out + 0.0 * state


class Square(nn.Module):
    def forward(self, x):
        return x * x


def test_a_state_that_grows_is_recurrent_instability(tmp_path):
    module = Dropping()
    module.fusion = Unstable(module.fusion)
    fail(tmp_path, module, lambda trainer, m: setattr(m.fusion, "armed", True), guards=only_finite())
    page = (tmp_path / "failure" / "diagnosis.md").read_text()
    assert "Likeliest cause: recurrent instability of the fusion stage." in page, page
    assert "the output of fusion.cell grows from call to call" in page


def test_a_healthy_run_leaves_nothing(tmp_path):
    report, raised = fail(tmp_path, ToyModule(), guards=ten_guards(), train=loader(48))
    assert raised is None
    assert report.exit_code == 0
    assert not (tmp_path / "failure").exists()


def test_the_history_is_bounded(tmp_path):
    recorder = FailureRecorder(tmp_path / "failure", size=5)
    judge(tmp_path, Dropping(), loader(STEPS, fault=DATA), guards=only_finite(), extra=(recorder,))
    assert len(Record.read(tmp_path / "failure").facts["history"]["loss"]) == 5
