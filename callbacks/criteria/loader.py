"""``loader``: little of the training time goes into waiting for data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from callbacks.base.guard import Guard, Policy


@dataclass(eq=False)
class LoaderGuard(Guard):
    """The share of the training time spent between the end of one batch and the start of the next, where the loop waits
    for the loader: high if workers are too few, the disk is slow or the cache cold. The first batch of an epoch
    (workers start) and pauses for validation are left out; the longest wait is reported. It sees only waits of
    the host: other callbacks' work between two batches counts as waiting (so list it first), and a loader that never
    returns is not found here but by the scheduler's limit.

    Args:
        max_share: largest share of the time.
        warm_up: batches at the beginning that do not count.
        min_batches: fewer counted batches are inconclusive.
        every: batches between two looks, for runs that this criterion may stop.
        clock: seconds; for tests.
    """

    name = "loader"
    number = 12
    exit_code = 21
    unit = "share of time waiting for data"
    sense = "≤"
    hint = "Use more trainer.num_workers, a local disk, or the prepared cache."

    max_share: float = 0.5
    warm_up: int = 5
    min_batches: int = 20
    every: int = 50
    policy: Policy = "warn"
    allow_inconclusive: bool = True
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        super().__init__(self.policy, self.allow_inconclusive)
        self.limit = self.max_share
        self.memory = {"batches": 0, "waited": 0.0, "worked": 0.0, "longest": 0.0, "longest_batch": -1}
        self._ended: float | None = None  # None: what follows is no wait between two batches
        self._wait: float | None = None
        self._warm = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._ended, self._wait, self._warm = None, None, 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._ended = None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._ended = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._began = self.clock()
        self._wait = None if self._ended is None else self._began - self._ended

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._ended = self.clock()
        self._warm += 1
        if self._wait is None or self._warm <= self.warm_up:
            return
        memory = self.memory
        memory["batches"] += 1
        memory["waited"] += self._wait
        memory["worked"] += self._ended - self._began
        if self._wait > memory["longest"]:
            memory.update(longest=self._wait, longest_batch=batch_idx)
        if memory["batches"] >= self.min_batches and memory["batches"] % self.every == 0:
            share, text = self._judge()
            self.stop_if(trainer, share > self.limit, text, round(share, 4), **self._facts())

    def _judge(self) -> tuple[float, str]:
        waited, worked = self.memory["waited"], self.memory["worked"]
        share = waited / (waited + worked) if waited + worked else 0.0
        per_batch = waited / max(self.memory["batches"], 1)
        longest = f"the longest wait {self.memory['longest']:.3g} s before batch {self.memory['longest_batch']}"
        return share, f"{share:.0%} of the time goes into waiting for data, {per_batch:.3g} s a batch, {longest}"

    def _facts(self) -> dict[str, Any]:
        return {key: round(value, 4) for key, value in self.memory.items()}

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        share, text = self._judge()
        if self.memory["batches"] < self.min_batches:
            few = f"{self.memory['batches']} batches are too few to judge, {self.min_batches} are needed"
            self.record("inconclusive", few, None, **self._facts())
            return
        self.record("pass" if share <= self.limit else "fail", text, round(share, 4), **self._facts())
