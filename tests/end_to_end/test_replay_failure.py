"""A run that a fault ended: its failure/ folder explains the fault, and `make replay` makes it come back from disk."""

from __future__ import annotations

import math

import pytest
import torch
from hydra import compose

from wotempo.config.composition import loaded

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]

STEP = 5
ONE_EPOCH = ("experiment=convgru_1epoch", "trainer.max_epochs=1", "model.dropout=0.1")


def nan_in_the_data(monkeypatch):
    from wotempo.data.collate import WindowCollator

    original, calls = WindowCollator.__call__, []

    def call(self, items):
        batch = original(self, items)
        calls.append(1)
        if len(calls) == STEP:
            batch["status"][1, 2] = math.nan
        return batch

    monkeypatch.setattr(WindowCollator, "__call__", call)


def nan_in_a_weight(monkeypatch):
    from wotempo.training.module import LitPlanner

    def damage(self, outputs, batch, batch_idx):
        if self.global_step == STEP:
            with torch.no_grad():
                self.model.fusion.get_parameter(next(name for name, _ in self.model.fusion.named_parameters()))[0] = (
                    math.nan
                )

    monkeypatch.setattr(LitPlanner, "on_train_batch_end", damage)


def huge_rate(monkeypatch):
    from wotempo.training.module import LitPlanner

    def raise_rate(self, batch, batch_idx):
        if self.global_step >= STEP:
            for group in self.trainer.optimizers[0].param_groups:
                group["lr"] = 1e8

    monkeypatch.setattr(LitPlanner, "on_train_batch_start", raise_rate)


def replay(folder) -> int:
    from wotempo.commands.replay import work

    with loaded():
        return work(compose("replay", overrides=[f"run={folder}", "accelerator=cpu"]))


@pytest.mark.parametrize(
    ("fault", "cause", "overrides"),
    [
        (nan_in_the_data, "data", ()),
        (nan_in_a_weight, "weights that were damaged before this step", ()),
        (huge_rate, "learning rate", ("acceptance.learning_rate.policy=off",)),
    ],
    ids=["data", "weight", "rate"],
)
def test_a_fault_comes_back_from_disk(fault, cause, overrides, train, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        fault(patched)
        code, verdict = train(*ONE_EPOCH, *overrides)
    assert code == 10, verdict["reason"]
    page = verdict["run_dir"] / "failure" / "diagnosis.md"
    assert verdict["facts"]["failure"] == str(page)
    assert f"Likeliest cause: {cause}." in page.read_text()
    capsys.readouterr()
    assert replay(verdict["run_dir"]) == 0
    told = capsys.readouterr().out
    assert told.rstrip().endswith("\nreproduced")
    assert "model." in told
    assert "values, the first is" in told
    assert "samples" in told
    step = torch.load(page.with_name("step.pt"), weights_only=True)
    assert all(token in told for token in step["micro_batches"][0]["batch"]["tokens"])
    step["micro_batches"][0]["batch"]["status"].nan_to_num_(0.0)
    torch.save(step, page.with_name("step.pt"))
    assert replay(verdict["run_dir"]) == (1 if cause == "data" else 0)
