"""A few steps of a run, measured: the same model, data and trainer options, without criteria, loggers and files."""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice, pairwise
from statistics import median
from typing import Any

import lightning as L
import torch

from callbacks.criteria.memory import GIGABYTE, is_out_of_memory, used_bytes
from wotempo.config.schema import RunConfig
from wotempo.data.module import NavsimDataModule
from wotempo.planners.backbone.frozen import FrozenEncoder
from wotempo.preparation.datamodule import cache_root
from wotempo.preparation.prepare import Prepared
from wotempo.runs.build import build_module
from wotempo.training.averaging import RunningAverage


@dataclass
class EstimateConfig:
    warm_up: int
    steps: int
    val_batches: int
    seconds: float
    requeue: bool


@dataclass(frozen=True)
class Measurement:
    """Seconds are medians per batch of ``batch_size``."""

    batch_size: int
    workers: int
    steps: int
    compute_s: float
    wait_s: float  # between two batches, where the loop waits for the loader
    loader_s: float  # the loader alone
    val_s: float
    peak_gb: float
    device: str

    @property
    def step_s(self) -> float:
        """Workers fill their queue in advance, so that a short measurement waits too little: in the long run a batch
        takes no less than the loader needs for it."""
        return max(self.compute_s + self.wait_s, self.loader_s)

    @property
    def limited_by(self) -> str:
        return "loader" if max(self.wait_s, self.loader_s) > self.compute_s else "compute"


class Meter(L.Callback):
    """Times of the batches behind ``warm_up``, and the peak of what the memory criterion reads: also before the
    backward pass, where a CPU, which counts no peaks, holds most."""

    def __init__(self, options: EstimateConfig) -> None:
        self.options = options
        self.compute: list[float] = []
        self.wait: list[float] = []
        self.val: list[float] = []
        self.peak = 0.0
        self._ended: float | None = None

    def _now(self, trainer: L.Trainer) -> float:
        if (device := trainer.strategy.root_device).type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    def _look(self, trainer: L.Trainer) -> None:
        self.peak = max(self.peak, float(used_bytes(trainer.strategy.root_device)))

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if (device := trainer.strategy.root_device).type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self._deadline = time.perf_counter() + self.options.seconds

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, index: int) -> None:
        self._began, self._own = self._now(trainer), 0.0
        if self._ended is not None and index >= self.options.warm_up:
            self.wait.append(self._began - self._ended)

    def on_before_backward(self, trainer: L.Trainer, *_: Any) -> None:
        start = self._now(trainer)
        self._look(trainer)
        self._own += time.perf_counter() - start

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        now = self._now(trainer)
        if index >= self.options.warm_up:
            self.compute.append(now - self._began - self._own)
        self._look(trainer)
        self._ended = self._now(trainer)
        if self.compute and self._ended > self._deadline:
            trainer.should_stop = True

    def on_validation_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self._began = self._now(trainer)

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.val.append(self._now(trainer) - self._began)
        self._look(trainer)


def trainer_options(config: RunConfig, options: EstimateConfig) -> dict[str, Any]:
    """Those of the run, on one device, cut short."""
    return config.trainer.options() | {
        "devices": 1,
        "strategy": "auto",
        "max_epochs": 1,
        "max_steps": -1,
        "max_time": None,
        "limit_train_batches": options.warm_up + options.steps,
        "limit_val_batches": 0 if config.trainer.limit_val_batches == 0 else options.val_batches,
        "check_val_every_n_epoch": 1,
    }


def loader_seconds(loader: Iterable[Any], options: EstimateConfig) -> float:
    """Median seconds from one batch to the next, of the loader alone."""
    times = [time.perf_counter()]
    for _ in islice(loader, options.warm_up + options.steps):
        times.append(time.perf_counter())
        if times[-1] - times[0] > options.seconds:
            break
    pauses = [b - a for a, b in pairwise(times)]
    return median(pauses[options.warm_up :] or pauses)


def give_back(device: torch.device) -> None:
    """Free memory goes back to the system: a smaller batch that is measured next must not show what this one held."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def measure(
    config: RunConfig, prepared: Prepared, data: NavsimDataModule, options: EstimateConfig, batch_size: int
) -> Measurement | None:
    """With ``batch_size`` instead of the run's. None where that runs out of GPU memory."""
    data.batch_size = batch_size
    L.seed_everything(config.seed, workers=True, verbose=False)
    module, _ = build_module(config, prepared)
    meter = Meter(options)
    callbacks: list[L.Callback] = [meter]
    if config.trainer.ema is not None:
        callbacks.append(RunningAverage(config.trainer.ema))
    trainer = L.Trainer(
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **trainer_options(config, options),
    )
    device = trainer.strategy.root_device
    if config.model.frozen_backbone and data.bev is None:
        cache = cache_root(config.data, config.workspace, prepared.paths)
        data.use_frozen(FrozenEncoder(module.model, device), cache)
    try:
        trainer.fit(module, datamodule=data)
        alone = loader_seconds(data.train_dataloader(), options)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None
    finally:
        del module, trainer
        give_back(device)
    counted = meter.compute or [time.perf_counter() - meter._began]
    return Measurement(
        batch_size=batch_size,
        workers=config.trainer.num_workers,
        steps=len(counted),
        compute_s=median(counted),
        wait_s=median(meter.wait or [0.0]),
        loader_s=alone,
        val_s=median(meter.val or [0.0]),
        peak_gb=meter.peak / GIGABYTE,
        device=device.type,
    )
