"""A meter of what the acceptance callbacks of a run cost: the time of every hook, and how often one reads a tensor."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightning as L
import torch
from lightning.pytorch import Callback

import callbacks
from callbacks import AcceptanceReport, FailureRecorder, Guard

PACKAGE = str(Path(callbacks.__file__).parent)
READS = ("item", "tolist", "__bool__", "__int__", "__float__", "__index__", "numpy", "cpu", "nonzero")
HOOKS = [name for name in dir(Callback) if name.startswith("on_")] + ["setup", "state_dict", "_catch"]


class GuardMeter:
    """Wraps every hook of the guards, the report and the recorder among ``found``.

    Attributes:
        seconds, cpu: by callback and hook; of nested hooks only the outermost counts. ``cpu`` is this process' time.
        reads: reads of tensors by files of the package; on a GPU each waits for the device.
    """

    def __init__(self, found: list[Callback]) -> None:
        self.seconds: Counter[tuple[str, str]] = Counter()
        self.cpu: Counter[tuple[str, str]] = Counter()
        self.reads = 0
        self._inside = False
        for callback in found:
            if isinstance(callback, Guard | AcceptanceReport | FailureRecorder):
                name = callback.name if isinstance(callback, Guard) else type(callback).__name__
                for hook in HOOKS:
                    if getattr(type(callback), hook, None) is not getattr(Callback, hook, None):
                        setattr(callback, hook, self._timed(getattr(callback, hook), (name, hook)))

    def _timed(self, hook: Callable[..., Any], key: tuple[str, str]) -> Callable[..., Any]:
        @wraps(hook)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return hook(*args, **kwargs)
            self._inside, wall, cpu = True, time.perf_counter(), time.process_time()
            try:
                return hook(*args, **kwargs)
            finally:
                self.seconds[key] += time.perf_counter() - wall
                self.cpu[key] += time.process_time() - cpu
                self._inside = False

        return timed

    def counting_reads(self) -> AbstractContextManager:
        """In it reads are counted."""
        return patch.multiple(torch.Tensor, **{name: self._counting(getattr(torch.Tensor, name)) for name in READS})

    def _counting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def read(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            self.reads += sys._getframe(1).f_code.co_filename.startswith(PACKAGE)
            return method(tensor, *args, **kwargs)

        return read

    @property
    def totals(self) -> tuple[float, float]:
        """Wall and processor seconds in hooks so far."""
        return sum(self.seconds.values()), sum(self.cpu.values())


class Steps(L.Callback):
    """First in the list. Per step, from one batch's start to the next one's: wall and processor seconds, those of them
    in hooks, and reads. The last step of an epoch ends with its validation and files, and is left out."""

    def __init__(self, meter: GuardMeter) -> None:
        self.meter = meter
        self.rows: list[tuple[float, ...]] = []
        self._before: tuple[float, ...] | None = None

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._before = None

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, index: int) -> None:
        now = (time.perf_counter(), time.process_time(), *self.meter.totals, float(self.meter.reads))
        if self._before is not None:
            self.rows.append(tuple(b - a for a, b in zip(self._before, now, strict=True)))
        self._before = now
