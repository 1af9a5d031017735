"""The batches and validations that a run has still to do."""

from __future__ import annotations

import math

from lightning.pytorch import Trainer


def remaining(trainer: Trainer) -> tuple[int, int]:
    """Training batches and validations still to come; 0 where the run has no known target."""
    per_epoch = trainer.num_training_batches
    done = trainer.fit_loop.epoch_loop.total_batch_idx + 1
    totals: list[float] = []
    if trainer.max_epochs not in (None, -1):
        totals.append(per_epoch * trainer.max_epochs)  # type: ignore[operator]
    if trainer.max_steps != -1:
        totals.append(trainer.max_steps * trainer.accumulate_grad_batches)
    total = min(totals, default=math.inf)
    if not math.isfinite(total):
        return 0, 0
    left = max(int(total) - done, 0)
    if not trainer.enable_validation or not per_epoch:
        return left, 0
    every = trainer.check_val_every_n_epoch or 1
    return left, math.ceil(left / per_epoch / every) if left else 0
