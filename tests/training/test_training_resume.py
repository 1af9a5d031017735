"""Interrupted anywhere and continued from its newest checkpoint, a small run equals the uninterrupted one."""

from __future__ import annotations

import random

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
from wotempo.training.checkpoints import AtomicCheckpointIO, StepCheckpoint

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
    last = ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    best = ModelCheckpoint(folder, filename="best", monitor="val/loss", enable_version_counter=False)
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
