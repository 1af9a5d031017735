"""The projection from a few measured steps to a whole run: hours, jobs, price, and the batch size that would fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wotempo.capacity.benchmark import Measurement
from wotempo.config.schema import TrainerConfig

HOUR = 3600.0
ROOM = 0.9  # share of a limit that a proposal may use


def limited(batches: int, limit: Any) -> int:
    """How many of ``batches`` Lightning takes: all for None, a share for a float, at most so many for an int."""
    if limit is None:
        return batches
    return int(batches * limit) if isinstance(limit, float) else min(batches, limit)


@dataclass(frozen=True)
class Job:
    """How long a run is, in windows of its splits and in the trainer's words."""

    train: int
    val: int
    world: int
    trainer: TrainerConfig

    def batches(self, batch_size: int) -> tuple[int, int]:
        """(training, validation) of one epoch and process."""
        train, val = (math.ceil(math.ceil(n / self.world) / batch_size) for n in (self.train, self.val))
        return limited(train, self.trainer.limit_train_batches), limited(val, self.trainer.limit_val_batches)

    def epochs(self, batch_size: int) -> float:
        """Of the whole run, in parts where ``max_steps`` ends it."""
        wanted = float(self.trainer.max_epochs) if self.trainer.max_epochs != -1 else math.inf
        if self.trainer.max_steps != -1:
            taken = self.trainer.max_steps * self.trainer.accumulate_grad_batches
            wanted = min(wanted, taken / self.batches(batch_size)[0])
        return wanted

    def epoch_hours(self, m: Measurement) -> float:
        """One epoch with its share of the validations."""
        train, val = self.batches(m.batch_size)
        return (train * m.step_s + val * m.val_s / self.trainer.check_val_every_n_epoch) / HOUR

    def hours(self, m: Measurement) -> float:
        return self.epochs(m.batch_size) * self.epoch_hours(m)

    def with_batch(self, batch_size: int) -> Job:
        """The same number of windows per optimiser step."""
        together = self.trainer.batch_size * self.trainer.accumulate_grad_batches
        changed = replace(self.trainer, batch_size=batch_size, accumulate_grad_batches=together // batch_size)
        return replace(self, trainer=changed)


def smaller_batches(trainer: TrainerConfig) -> list[int]:
    """Below the run's, largest first, that leave the windows per optimiser step as they are."""
    together = trainer.batch_size * trainer.accumulate_grad_batches
    return [b for b in range(trainer.batch_size - 1, 0, -1) if together % b == 0]


def promising(trainer: TrainerConfig, measured: Sequence[Measurement], ceiling_gb: float) -> list[int]:
    """Smaller batch sizes to try, largest first: those that a line through two measurements says will fit, or from half
    of the run's down where there are no two yet."""
    sizes = smaller_batches(trainer)
    if len(measured) < 2:
        return [size for size in sizes if 2 * size <= trainer.batch_size] or sizes
    a, b = measured[0], measured[-1]
    slope = max((a.peak_gb - b.peak_gb) / (a.batch_size - b.batch_size), 0.0)
    fixed = b.peak_gb - slope * b.batch_size
    return [size for size in sizes if fixed + slope * size <= ROOM * ceiling_gb]


def fitting_batch(
    trainer: TrainerConfig,
    first: Measurement | None,
    ceiling_gb: float,
    measure: Callable[[int], Measurement | None],
) -> Measurement | None:
    """A smaller batch that was measured to fit, about the largest; None where none does. ``first`` is the run's own
    batch, None where it ran out of memory."""
    known: dict[int, Measurement | None] = {trainer.batch_size: first}

    def fits(size: int) -> bool:
        m = known[size]
        return m is not None and m.peak_gb <= ROOM * ceiling_gb

    while True:
        measured = [m for m in known.values() if m is not None]
        left = [size for size in promising(trainer, measured, ceiling_gb) if size not in known or fits(size)]
        if not left or left[0] in known:
            return max((m for size, m in known.items() if m and fits(size)), key=lambda m: m.batch_size, default=None)
        known[left[0]] = measure(left[0])


def shorter(job: Job, m: Measurement, allowed_hours: float) -> list[str]:
    """Overrides that end the run within ``ROOM`` of the allowed hours; none where not even one batch does."""
    allowed = ROOM * allowed_hours
    if job.trainer.max_steps != -1:
        steps = int(job.trainer.max_steps * allowed / job.hours(m))
        return [f"trainer.max_steps={steps}"] if steps else []
    if whole := int(allowed / job.epoch_hours(m)):
        return [f"trainer.max_epochs={whole}"]
    train, val = job.batches(m.batch_size)
    batches = min(int((allowed * HOUR - val * m.val_s / job.trainer.check_val_every_n_epoch) / m.step_s), train)
    return ["trainer.max_epochs=1", f"trainer.limit_train_batches={batches}"] if batches >= 1 else []
