"""Interrupted anywhere and continued from its newest checkpoint, a small run equals the uninterrupted one."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

from wotempo.checkpoints.newest import newest_checkpoint
from wotempo.data.module import NavsimDataModule
from wotempo.runs.random_state import RandomState
from wotempo.training.averaging import RunningAverage
from wotempo.training.checkpoints import AtomicCheckpointIO, RunCheckpoint, StepCheckpoint

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Points(torch.utils.data.Dataset):
    """What loader and sampler look at of a dataset of windows."""

    def __init__(self, count: int = 22) -> None:
        self.log, self.log_index = np.zeros(count, int), np.arange(count)
        self.num_frames = self.frame_stride = 1

    def __len__(self) -> int:
        return len(self.log)

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, int]:
        return key


class Points2Batches(NavsimDataModule):
    """The real data module without files: 11 batches an epoch."""

    def __init__(self, workers: int) -> None:
        L.LightningDataModule.__init__(self)
        self.scenes = {"train": [], "val": []}
        self.datasets = {"train": Points(), "val": Points(4)}  # type: ignore[dict-item]
        self.batch_size = self.run_length = 2
        self.seed, self.num_workers, self.pin_memory = 7, workers, False
        self._begun = {}

    def prepare_data(self) -> None: ...
    def _batch_bytes(self, name: str) -> int:
        return 1000

    def setup(self, stage: str) -> None: ...


class Boom(RuntimeError):
    pass


class Toy(L.LightningModule):
    """Draws from all three streams in every step; asks for the number of steps as the real module does."""

    def __init__(self, stop_at: int | None, seen: dict) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.stop_at, self.seen = stop_at, seen

    def training_step(self, batch, batch_idx):
        micro = self.current_epoch * self.trainer.num_training_batches + batch_idx
        if micro == self.stop_at:
            raise Boom
        noise = torch.rand(len(batch), 1) + np.random.rand() + random.random()  # noqa: NPY002
        loss = (self.net(batch / 10) - noise).square().mean()
        self.seen[micro] = (float(loss), batch.tolist())
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.net(batch / 10).mean() + torch.rand(()))

    def configure_optimizers(self):
        optimiser = torch.optim.AdamW(self.parameters(), lr=0.05)
        total = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / (total + 1))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@pytest.fixture(autouse=True)
def no_pixels(monkeypatch):
    class Stack:
        def __init__(self, dataset) -> None: ...

        def __call__(self, items):
            return torch.tensor(items, dtype=torch.float32)

    monkeypatch.setattr("wotempo.data.module.WindowCollator", Stack)


def attempt(folder, seen, stop_at=None, workers=0, **options):
    """Train from the newest checkpoint, if any, to the end or to ``stop_at`` -> (module, step that it came from)."""
    checkpoint, step, _ = newest_checkpoint(folder, epoch_ends="max_steps" not in options)
    L.seed_everything(1 if checkpoint is None else 99, verbose=False)
    last = RunCheckpoint(folder, "last", save_on_train_epoch_end=True)
    best = RunCheckpoint(folder, "best", monitor="val/loss")
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        callbacks=[last, best, StepCheckpoint(folder, 2), RunningAverage(0.9), RandomState()],
        plugins=[AtomicCheckpointIO()], **{"max_epochs": 3, **options},
    )  # fmt: skip
    module = Toy(stop_at, seen)
    try:
        trainer.fit(module, datamodule=Points2Batches(workers), ckpt_path=checkpoint, weights_only=True)
    except Boom:
        assert stop_at is not None
    return module, step


def moved(folder, there):
    folder.rename(there)
    return there


def copied(folder, there):
    return shutil.copytree(folder, there)


def linked(folder, there):
    folder.rename(there.with_name("far away"))
    there.symlink_to(there.with_name("far away"))
    return there


def named_relatively(folder, there):
    return Path(os.path.relpath(moved(folder, there)))


def left(folder, there):
    return folder


@pytest.mark.parametrize("way", [moved, copied, linked, named_relatively, left], ids=lambda way: way.__name__)
def test_a_run_that_goes_on_in_another_place_keeps_its_best(tmp_path, monkeypatch, way):
    """Epoch 1 is the best one; the run is interrupted in epoch 3 and goes on elsewhere."""

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", (2.0, 0.5, 1.5, 1.0, 0.8)[self.current_epoch])

    monkeypatch.setattr(Toy, "validation_step", validation_step)
    attempt(tmp_path / "here", {}, stop_at=3 * 11 + 5, max_epochs=5)
    there = way(tmp_path / "here", tmp_path / "there")
    _, step = attempt(there, {}, max_epochs=5)
    assert step > 33
    assert torch.load(there / "best.ckpt", weights_only=True)["epoch"] == 1
    state = torch.load(there / "last.ckpt", weights_only=True)["callbacks"]
    (best,) = (value for key, value in state.items() if "'monitor': 'val/loss'" in key)
    assert float(best["best_model_score"]) == 0.5
    assert best["best_model_path"] == str(there.resolve() / "best.ckpt")


def test_a_best_file_that_is_gone_is_written_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Toy, "validation_step", lambda self, *_: self.log("val/loss", float(self.current_epoch)))
    attempt(tmp_path, {}, stop_at=3 * 11 + 5, max_epochs=5)
    (tmp_path / "best.ckpt").unlink()
    attempt(tmp_path, {}, max_epochs=5)
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["epoch"] == 3
    assert "best.ckpt is not there any more" in capsys.readouterr().out


def test_checkpoints_of_the_callback_above_are_read(tmp_path):
    """Runs from before wrote their state under the name of Lightning's class."""
    ours = RunCheckpoint(tmp_path, "best", monitor="val/loss")
    theirs = ModelCheckpoint(tmp_path, filename="best", monitor="val/loss", enable_version_counter=False)
    assert ours.state_key == theirs.state_key
    ours.load_state_dict(theirs.state_dict())


CASES = {
    "plain": {},
    "accumulated": {"accumulate_grad_batches": 2},
    "workers": {"workers": 1},
    "steps": {"max_epochs": -1, "max_steps": 30},
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_interrupted_anywhere_equals_the_whole(tmp_path, case):
    options = CASES[case]
    whole: dict = {}
    expected, _ = attempt(tmp_path / "whole", whole, **options)
    stops = (3, 11, 17, 22, 29) if case != "workers" else (15,)
    parts: dict = {}
    for stop in stops:
        attempt(tmp_path / "parts", parts, stop, **options)
    found, came_from = attempt(tmp_path / "parts", parts, **options)
    assert came_from > 0
    assert parts == whole
    for name, value in expected.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name


def test_a_write_that_is_interrupted_leaves_the_file_before(tmp_path, monkeypatch):
    seen: dict = {}
    attempt(tmp_path, seen, 9)
    before, step, _ = newest_checkpoint(tmp_path)

    def half(checkpoint, file):
        file.write(b"half")
        raise Boom

    with monkeypatch.context() as patch:
        patch.setattr("wotempo.training.checkpoints.torch.save", half)
        attempt(tmp_path, seen, 99)
    assert newest_checkpoint(tmp_path) == (before, step, [])
    assert not list(tmp_path.glob("*.tmp"))


def test_a_torn_file_is_passed_over(tmp_path):
    attempt(tmp_path, {}, 9)
    newest, step, _ = newest_checkpoint(tmp_path)
    assert newest is not None
    newest.write_bytes(newest.read_bytes()[:500])
    older, earlier, damaged = newest_checkpoint(tmp_path)
    assert older is not None
    assert earlier < step
    assert len(damaged) == 1
    assert damaged[0].startswith(newest.name)
