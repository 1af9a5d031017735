"""Faults of what is written, and runs that stop before their target."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from fault import BAD_STEP, Fault, around
from lightning.pytorch.callbacks import EarlyStopping, Timer
from toy_run import STEPS, ToyModule


class Spoil(L.Callback):
    """Damages the checkpoints after the last one was written; named so that it comes before the guards."""

    def __init__(self, how: Callable[[Path], None]) -> None:
        self.how = how

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            for path in Path(trainer.default_root_dir).glob("checkpoints/*.ckpt"):
                self.how(path)


def edit(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def how(path: Path) -> None:
        checkpoint = torch.load(path, weights_only=True)
        change(checkpoint)
        torch.save(checkpoint, path)

    return how


def tear(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1000)


def other_weights(checkpoint: dict[str, Any]) -> None:
    checkpoint["state_dict"]["head.bias"] += 0.25


def nan_weight(checkpoint: dict[str, Any]) -> None:
    checkpoint["state_dict"]["head.bias"][3] = float("nan")


def inf_moment(checkpoint: dict[str, Any]) -> None:
    checkpoint["optimizer_states"][0]["state"][0]["exp_avg"][0] = float("inf")


def earlier(checkpoint: dict[str, Any]) -> None:
    checkpoint["global_step"] = 7


def lacking(checkpoint: dict[str, Any]) -> None:
    del checkpoint["state_dict"]["head.bias"]


def unsafe(checkpoint: dict[str, Any]) -> None:
    checkpoint["hyper_parameters"] = {"optimizer": functools.partial(torch.optim.Adam, lr=0.1)}


class Hidden(ToyModule):
    """Adds a tensor that is learned, but no part of the state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = torch.zeros(())

    def forward(self, batch: Any) -> Any:
        return super().forward(batch) + self.offset

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.offset = self.offset + 0.01
        return super().training_step(batch, batch_idx)

    @classmethod
    def rebuild(cls, checkpoint: dict[str, Any]) -> Any:
        module = cls()
        module.load_state_dict(checkpoint["state_dict"])
        return module


def spoilt(name: str, how: Callable[[Path], None], says: str, ranks: str = "") -> Fault:
    return Fault(name, "checkpoint", STEPS, says, "none", callbacks=lambda: (Spoil(how),), ranks=ranks)


CHECKPOINT = [
    Fault("no checkpoint is ever saved", "checkpoint", STEPS, "never saved a file", "none",
          saver={"save_top_k": 0}, ranks=""),
    spoilt("checkpoint deleted", Path.unlink, "does not exist"),
    spoilt("checkpoint torn", tear, "does not load", "all"),
    spoilt("checkpoint with other weights", edit(other_weights), "gives other outputs", "all"),
    spoilt("checkpoint of an earlier step", edit(earlier), "is of step 7"),
    spoilt("NaN in the checkpoint", edit(nan_weight), "non-finite values in state_dict.head.bias"),
    spoilt("Inf in the optimiser's state", edit(inf_moment), "non-finite values in optimizer_states"),
    spoilt("checkpoint lacks a weight", edit(lacking), "lacks 1 keys"),
    spoilt("checkpoint needs a pickle of code", edit(unsafe), "does not load with weights_only=True"),
    Fault("learned state that is not saved", "checkpoint", STEPS, "gives other outputs", "none", module=Hidden,
          ranks=""),
]  # fmt: skip


def stop(trainer: L.Trainer, module: Any) -> None:
    trainer.should_stop = True


def use_up(trainer: L.Trainer, module: Any) -> None:
    timer = next(c for c in trainer.callbacks if isinstance(c, Timer))
    timer._duration = 1e-9  # as if the time had passed


def skip_rest(original: Any, module: Any, batch: Any, batch_idx: int) -> Any:
    return -1 if batch_idx == BAD_STEP else original(batch, batch_idx)


COMPLETE = [
    Fault("stopped by should_stop", "complete", 20, "trainer.should_stop was set", "none", at=stop,
          status="incomplete", ranks="all"),
    Fault("an epoch ends before its last batch", "complete", 20, "an epoch ended before its last batch", "none",
          change=around("on_train_batch_start", skip_rest), status="incomplete", ranks="all"),
    Fault("early stopping", "complete", 48, "early stopping", "none", batches=24,
          callbacks=lambda: (EarlyStopping("val/loss", patience=0, min_delta=1e9),),
          options=lambda: {"max_epochs": 4}, status="incomplete", ranks=""),
    Fault("max_time is used up", "complete", 20, "max_time was used up", "none", at=use_up,
          options=lambda: {"max_time": {"hours": 9}}, status="incomplete", ranks="all"),
]  # fmt: skip
FAULTS = [*CHECKPOINT, *COMPLETE]
