"""``budget``: the run can end within its hours."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from callbacks.base.guard import Guard, Policy
from callbacks.base.progress import remaining

HOUR = 3600.0


@dataclass(eq=False)
class BudgetGuard(Guard):
    """Projects the end of the run from the batches done so far and stops one that cannot fit: hours since ``fit``
    began, plus the batches still to come at the median time of the latest ones (loading included), plus the
    validations still to come at the time of the last one. It sees a slow loader, a slow device and a target set too
    high. It cannot see what is not yet measured (the first validation, tests after the fit), so the projection is
    rather too low, and a run is never stopped for what it has not done; nor what was spent before ``fit``, nor the time
    of an earlier attempt that this one resumes: the budget is that of one attempt, as a scheduler's limit is.

    Args:
        budget_hours: wall-clock hours from the start of ``fit`` to its end; None judges nothing.
        warm_up: batches that do not count (compilation, cold caches).
        min_batches: counted batches before the first projection.
        every: batches between two projections.
        clock: seconds; for tests.
    """

    name = "budget"
    number = 11
    exit_code = 20
    unit = "hours, projected"
    sense = "≤"
    hint = "Give it more time, fewer epochs or a faster machine; `loader` says whether the data is what is slow."

    budget_hours: float | None = None
    warm_up: int = 5
    min_batches: int = 20
    every: int = 20
    policy: Policy = "fail"
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        super().__init__(self.policy)
        if self.budget_hours is not None and not self.budget_hours > 0:
            raise ValueError(f"budget_hours is {self.budget_hours}; give hours above 0, or null for no budget")
        self.limit = self.budget_hours
        self._forget()

    def _forget(self) -> None:
        self._start = self.clock()
        self._last: float | None = None  # end of the batch before; None where something else came between
        self._done = 0
        self._validation = 0.0
        self._seconds: deque[float] = deque(maxlen=200)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and self.limit is None and self.status == "pending":
            self.record("skipped", "no budget_hours is set")

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._forget()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validation_start, self._last = self.clock(), None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._validation = self.clock() - self._validation_start

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last = None

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        now, before = self.clock(), self._last
        self._last = now
        self._done += 1
        if before is not None and self._done > self.warm_up:
            self._seconds.append(now - before)
        if len(self._seconds) < self.min_batches or self._done % self.every:
            return
        hours, facts = self._project(trainer)
        text = f"the run needs {hours:.2f} h, its budget is {self.limit:g} h: {facts['batches_left']} batches are left "
        text += f"at {facts['seconds_per_batch']:.3g} s"
        self.stop_if(trainer, hours > self.limit, text, round(hours, 4), **facts)

    def _project(self, trainer: Trainer) -> tuple[float, dict[str, Any]]:
        left, validations = remaining(trainer)
        pace = median(self._seconds) if self._seconds else 0.0
        spent = self.clock() - self._start
        hours = (spent + left * pace + validations * self._validation) / HOUR
        per_second = round(1 / pace, 4) if pace else None
        facts = {"batches_left": left, "seconds_per_batch": round(pace, 5), "batches_per_second": per_second}
        return hours, {**facts, "spent_hours": round(spent / HOUR, 4)}

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        hours = (self.clock() - self._start) / HOUR
        pace = median(self._seconds) if self._seconds else None
        note = "" if pace is None else f", {pace:.3g} s per batch"
        text = f"took {hours:.2f} h of {self.limit:g} h{note}"
        self.record("pass" if hours <= self.limit else "fail", text, round(hours, 4), seconds_per_batch=pace)
