"""``complete``: the run did all epochs or steps that it was configured for, to the last batch."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, Timer
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from callbacks.base.guard import Guard, OwnFailure, Policy, callbacks_of, share
from callbacks.base.rendezvous import all_come


class CompleteGuard(Guard):
    """Passes if ``max_epochs`` whole epochs or ``max_steps`` optimiser steps were done; or, where ``min_epochs`` says
    so, if an ``EarlyStopping`` of the trainer found no improvement after at least so many whole epochs.

    Lightning ends with exit 0 and an epoch counted as processed when ``should_stop``, ``max_time`` or a ``-1`` of
    ``on_train_batch_start`` cut it short, so batches are counted: an epoch is whole if it saw every batch that the
    loader (after ``limit_train_batches``) announced. With several ranks, all must have announced the same number: else
    one of them would end its epoch while the others wait in their next step for ever. The same happens where one rank
    alone sets ``should_stop``: it waits for the others for ``patience`` seconds, and then ends the run.

    Args:
        patience: seconds.
        min_epochs: of a run that early stopping ended; None: such a run has stopped too early.
    """

    name = "complete"
    number = 1
    exit_code = 15
    unit = "epochs"
    hint = "Start the run again; what was prepared is re-used."

    def __init__(self, patience: float = 60.0, policy: Policy = "fail", min_epochs: int | None = None) -> None:
        super().__init__(policy)
        self.min_epochs = min_epochs
        self.patience = patience
        self.memory = {"cut_epochs": 0}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        announced = share(trainer, trainer.num_training_batches)
        text = f"the ranks have {', '.join(map(str, announced))} batches per epoch, they must have equally many"
        self.stop_if(trainer, len(set(announced)) > 1, text, 0, batches_by_rank=announced)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.should_stop:  # Lightning validates once more before it stops
            self._not_alone(trainer, "validation")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        batches = trainer.fit_loop.epoch_loop.batch_progress
        announced = trainer.num_training_batches
        # A loader of unknown length is exhausted when the fetcher says so.
        whole = batches.is_last_batch if announced == float("inf") else batches.current.ready >= announced
        self.memory["cut_epochs"] += not whole
        if trainer.should_stop or not whole:
            self._not_alone(trainer, "epoch_end")

    def _not_alone(self, trainer: Trainer, place: str) -> None:
        step = trainer.global_step
        if step == trainer.max_steps or all_come(trainer, f"{place}/{trainer.current_epoch}/{step}", self.patience):
            return
        text = f"rank {trainer.global_rank} alone stopped after {step} steps: {_why_stopped(trainer)}"
        self.limit, self.measured = trainer.max_epochs, trainer.current_epoch
        self.record("fail", text, rank=trainer.global_rank, steps=step)
        if self.policy == "fail":
            raise OwnFailure(self.name, self.measured, self.limit, step, text, self.hint, self.exit_code)

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Lightning's count of epochs survives a resume from a file saved during validation; ours would miss that one.
        progress: Any = trainer.fit_loop.epoch_progress.current  # typed as a class without `processed`
        epochs = progress.processed - self.memory["cut_epochs"]
        steps = trainer.global_step
        max_steps, max_epochs = trainer.max_steps, trainer.max_epochs
        by_steps = max_steps not in (None, -1)
        by_epochs = max_epochs not in (None, -1)
        details: dict[str, Any] = {"steps": steps, "epochs": epochs, "max_steps": max_steps, "max_epochs": max_epochs}
        done_steps = by_steps and steps >= max_steps
        done_epochs = by_epochs and epochs >= max_epochs
        if done_steps or (by_steps and not by_epochs):
            self.limit, self.unit, measured = max_steps, "steps", steps
        else:
            self.limit, self.unit, measured = max_epochs, "epochs", epochs
        if steps == 0:
            self.record("fail", "no optimiser step was taken", measured, **details)
        elif not (by_steps or by_epochs):
            self.record("inconclusive", "the run has no target: neither max_epochs nor max_steps is set", **details)
        elif done_steps or done_epochs:
            self.record("pass", f"{steps} steps, {epochs} whole epochs", measured, **details)
        elif self.min_epochs is not None and (ended := _no_improvement(trainer)) and not self.memory["cut_epochs"]:
            enough = epochs >= self.min_epochs
            self.limit, self.unit = self.min_epochs, "epochs"
            text = f"{steps} steps, {epochs} of {max_epochs} whole epochs: early stopping ended it ({ended})"
            text += f", {self.min_epochs} were declared as enough" if enough else f", {self.min_epochs} are the least"
            self.record("pass" if enough else "fail", text, epochs, **details, min_epochs=self.min_epochs)
        else:
            why = _why_stopped(trainer)
            self.record("fail", f"stopped after {steps} steps in epoch {epochs + 1}: {why}", measured, **details)


def _no_improvement(trainer: Trainer) -> str:
    """By what an early stopping of the trainer ended the run; '' where none did, or it met NaN or a divergence."""
    fine = (EarlyStoppingReason.PATIENCE_EXHAUSTED, EarlyStoppingReason.STOPPING_THRESHOLD)
    stoppers = [c for c in callbacks_of(trainer) if isinstance(c, EarlyStopping) and c.stopping_reason in fine]
    if not trainer.should_stop or not stoppers:
        return ""
    return f"{stoppers[0].monitor} did not get better in {stoppers[0].wait_count} validations"


def _why_stopped(trainer: Trainer) -> str:
    for callback in callbacks_of(trainer):
        if isinstance(callback, Timer) and (callback.time_remaining() or 1.0) <= 0:
            return "max_time was used up"
        if isinstance(callback, EarlyStopping) and callback.stopping_reason is not EarlyStoppingReason.NOT_STOPPED:
            return "early stopping"
    return "trainer.should_stop was set" if trainer.should_stop else "an epoch ended before its last batch"
