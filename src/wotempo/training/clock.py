"""Seconds per optimiser step, as a metric of the run."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import lightning as L
import torch


class StepClock(L.Callback):
    """Seconds from the start of a training batch to its end, data loading excluded: ``step_seconds`` of every batch,
    and after an epoch ``seconds_per_step``, the median after ``warm_up`` batches.

    On a GPU the host runs ahead, but the gradient-clipping norm of every step waits for the device, so that the median
    over many batches is right.
    """

    def __init__(self, warm_up: int = 2) -> None:
        self.warm_up = warm_up
        self.seconds: list[float] = []

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        self.seconds.append(time.perf_counter() - self._start)
        pl_module.log("step_seconds", self.seconds[-1], rank_zero_only=True)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        counted = self.seconds[self.warm_up :] or self.seconds
        pl_module.log("seconds_per_step", torch.tensor(median(counted)), sync_dist=True)  # mean of all ranks
