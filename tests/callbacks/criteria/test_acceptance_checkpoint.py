"""A checkpoint must exist and be usable: every way to spoil one is found, and only that criterion fails."""

from __future__ import annotations

import functools
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from toy_drive import loader
from toy_run import STEPS, ToyModule, failing, judge, ten_guards, toy_trainer

from callbacks import AcceptanceReport, CheckpointGuard
from callbacks.criteria.checkpoint import inspect_checkpoint


class Spoil(L.Callback):
    """Damages every file after the last one was written."""

    def __init__(self, folder: Path, how) -> None:
        self.folder, self.how = folder, how

    def on_fit_end(self, trainer, pl_module):
        for path in self.folder.glob("*.ckpt"):
            self.how(path)


def edit(change):
    def how(path: Path) -> None:
        checkpoint = torch.load(path, weights_only=True)
        change(checkpoint)
        torch.save(checkpoint, path)

    return how


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def poison(checkpoint: dict) -> None:
    checkpoint["state_dict"]["head.bias"][3] = float("nan")


def poison_optimiser(checkpoint: dict) -> None:
    checkpoint["optimizer_states"][0]["state"][0]["exp_avg"][0] = float("inf")


def transpose(checkpoint: dict) -> None:
    checkpoint["state_dict"]["head.weight"] = checkpoint["state_dict"]["head.weight"].T.contiguous()


def forget(checkpoint: dict) -> None:
    del checkpoint["state_dict"]["head.bias"]


def prefix(checkpoint: dict) -> None:
    checkpoint["state_dict"]["_orig_mod.head.bias"] = torch.zeros(1)


def rewind(checkpoint: dict) -> None:
    checkpoint["global_step"] = 7


def unsafe(checkpoint: dict) -> None:
    checkpoint["hyper_parameters"] = {"optimizer": functools.partial(torch.optim.Adam, lr=0.1)}


@pytest.mark.parametrize(
    ("how", "finding"),
    [
        (Path.unlink, "does not exist"),
        (truncate, "does not load"),
        (lambda path: path.write_bytes(b""), "does not load"),
        (edit(poison), "non-finite values in state_dict.head.bias"),
        (edit(poison_optimiser), "non-finite values in optimizer_states.0.state.0.exp_avg"),
        (edit(transpose), "has head.weight of shape (10, 24), the model has (24, 10)"),
        (edit(forget), "lacks 1 keys of the model, the first is head.bias"),
        (edit(prefix), "keys that the model lacks, the first is _orig_mod.head.bias"),
        (edit(rewind), f"is of step 7, the run ended at step {STEPS}"),
        (edit(unsafe), "does not load with weights_only=True"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_spoiled_file_is_found(tmp_path, how, finding):
    report, raised = judge(tmp_path, extra=(Spoil(tmp_path / "checkpoints", how),))
    assert raised is None
    assert failing(report) == ["checkpoint"], report.card()
    assert finding in report.guards[1].message
    assert (report.status, report.exit_code) == ("rejected", 13)


def test_run_without_a_writer_fails(tmp_path):
    guard = CheckpointGuard()
    report = AcceptanceReport(tmp_path)
    trainer = toy_trainer(tmp_path, guard, report, enable_checkpointing=False)
    trainer.fit(ToyModule(), loader(4), loader(1))
    assert guard.message == "no ModelCheckpoint is attached to the trainer"
    assert report.exit_code == 13


def test_writer_that_never_saved_fails(tmp_path):
    guard = CheckpointGuard()
    saver = ModelCheckpoint(tmp_path, save_top_k=0)
    toy_trainer(tmp_path, guard, saver).fit(ToyModule(), loader(4), loader(1))
    assert guard.message == "ModelCheckpoint never saved a file"


def test_early_best_file_is_enough_only_if_asked(tmp_path):
    class Worsens(ToyModule):
        def validation_step(self, batch, batch_idx):
            self.log("val/loss", float(self.current_epoch), batch_size=1)

    def run(name: str, guard: CheckpointGuard) -> CheckpointGuard:
        saver = ModelCheckpoint(tmp_path / name, monitor="val/loss", save_top_k=1)
        toy_trainer(tmp_path, guard, saver, max_epochs=2).fit(Worsens(), loader(4), loader(1))
        return guard

    assert run("a", CheckpointGuard()).status == "fail"
    assert run("b", CheckpointGuard(require_final=False)).status == "pass"


def test_link_to_the_best_file_counts_once(tmp_path):
    guard = CheckpointGuard()
    saver = ModelCheckpoint(tmp_path, save_last="link")
    toy_trainer(tmp_path, guard, saver).fit(ToyModule(), loader(4), loader(1))
    assert (guard.status, guard.measured) == ("pass", 1)


def test_folder_is_not_verified(tmp_path):
    assert "sharded" in inspect_checkpoint(str(tmp_path), {})[1]


def test_warning_policy_does_not_count(tmp_path):
    guards = ten_guards(checkpoint=CheckpointGuard(policy="warn"))
    report, _ = judge(tmp_path, guards=guards, extra=(Spoil(tmp_path / "checkpoints", truncate),))
    assert failing(report) == ["checkpoint"]
    assert report.exit_code == 0
