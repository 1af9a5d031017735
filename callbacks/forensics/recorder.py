"""``FailureRecorder``: writes all that is needed to do a failing step again, and what a re-run of it shows."""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torch.optim import Optimizer

from callbacks.base.checksum import with_checksum
from callbacks.base.guard import AcceptanceError
from callbacks.base.plain import plain, portable, write_atomic, write_json
from callbacks.base.protocol import loss_terms, tokens_of
from callbacks.base.tensors import all_finite
from callbacks.forensics.causes import weigh
from callbacks.forensics.diagnosis import diagnosis
from callbacks.forensics.evidence import Row, columns, field_extremes, field_sizes, motion_extremes
from callbacks.measures.rerun import Finding
from callbacks.measures.step import MicroBatch, StepUnderWay

STEP, WEIGHTS, FACTS, DIAGNOSIS = "step.pt", "weights.pt", "facts.json", "diagnosis.md"
log = logging.getLogger(__name__)


class FailureRecorder(Callback):
    """Writes ``directory`` when a criterion ends the run, or when a step crashes (``rank<k>`` below it with several
    ranks): ``step.pt`` (the micro-batches of the step and the random states before each), ``weights.pt`` (weights,
    buffers, optimiser), ``facts.json`` (loss terms, first module with a non-finite output, the latest steps, ranges of
    all fields, ego motion) and ``diagnosis.md``. The ``.pt`` files load with ``weights_only=True``.

    Weights need no copy while all is well: the finite criterion raises before the optimiser steps, so those in memory
    are those of the failing forward pass. A criterion that fails after the step has no batch any more, and says so
    (``weights_are``). Must stand before the guards and the report. It cannot see what happens inside a loader, nor a
    process that is killed; of more than ``keep`` micro-batches per step only the latest are there. A step costs it a
    few scalars on the device and a copy of the random states.

    Args:
        directory: where the evidence goes; evidence of an earlier failure there is replaced.
        size: micro-batches in the history of losses, gradients and rates.
        keep: micro-batches of one accumulated step that are held until it ends.
        record: called with the path of the diagnosis, for the verdict.
    """

    def __init__(
        self, directory: str | Path, size: int = 200, keep: int = 8, record: Callable[[str], None] | None = None
    ) -> None:
        self.directory = Path(directory)
        self.keep = keep
        self.record = record
        self.rows: deque[Row] = deque(maxlen=size)  # the latest micro-batches
        self._step = StepUnderWay()
        self._row: Row | None = None
        self._norm = torch.zeros(())

    # --- Lightning --------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._step, self._row = StepUnderWay.of(trainer), None
        self._step.clear()
        self._step.keep = self.keep
        self.rows.clear()
        self._norm = weight_norm(pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        rates = [group["lr"] for optimiser in trainer.optimizers for group in optimiser.param_groups]
        self._row = Row(trainer.global_step, batch_idx, rates, fields=field_sizes(batch))
        self._step.begin(trainer, pl_module, batch, batch_idx)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        if self._row is not None:
            whole = loss.detach() * trainer.accumulate_grad_batches  # Lightning hands over the divided loss, and
            scaler = getattr(trainer.precision_plugin, "scaler", None)  # the scaled one where a scaler is at work
            whole = whole if scaler is None else whole / scaler.scale(torch.ones_like(whole))
            self._row.terms = {**loss_terms(pl_module), "loss": whole}
            self._step.micro_batches[-1].terms = self._row.terms

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        # The rate that the step really uses: it may have been changed since the batch began.
        if self._row is not None:
            self._row.rates = [group["lr"] for o in trainer.optimizers for group in o.param_groups]

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self._close_row()
        self._step.end_batch(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        crashed = isinstance(exception, Exception) and bool(self._step.micro_batches)
        if trainer.state.fn != TrainerFn.FITTING or not (isinstance(exception, AcceptanceError) or crashed):
            return
        # Evidence must never replace the failure itself.
        try:
            self._write(trainer, pl_module, exception)
        except Exception as error:
            log.warning(f"the evidence of the failure could not be written ({type(error).__name__}: {error})")

    # --- gathering --------------------------------------------------------------------------------------------------

    def _close_row(self) -> None:
        if self._row is not None:
            self._row.gradient = self._step.gradient
            self.rows.append(self._row)
            self._row = None

    def _write(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        in_step = self._row is not None and not self._step.taken(trainer)
        self._close_row()
        several = trainer.world_size > 1
        folder = self.directory / f"rank{trainer.global_rank}" if several else self.directory
        partial = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        facts = self._facts(trainer, pl_module, exception, "before" if in_step else "after")
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        step = {
            "micro_batches": [portable(_saved(micro)) for micro in self._step.micro_batches],
            "precision": str(trainer.precision),
            "scale": 1.0 if scaler is None else float(scaler.get_scale()),
            "training": pl_module.training,
        }
        weights = {
            "state_dict": pl_module.state_dict(),
            "hyper_parameters": dict(pl_module.hparams),
            "optimisers": [optimiser.state_dict() for optimiser in trainer.optimizers],
        }
        torch.save(step, partial / STEP)
        torch.save(with_checksum(portable(weights)), partial / WEIGHTS)  # a run that diverged has any values
        write_json(partial / FACTS, plain(facts))
        write_atomic(partial / DIAGNOSIS, diagnosis(facts, weigh(facts)))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
        if self.record is not None:
            self.record(str(folder / DIAGNOSIS))

    def _facts(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException, weights_are: str
    ) -> dict[str, Any]:
        held = self._step.micro_batches
        number, finding = len(held) - 1, Finding()
        if getattr(exception, "criterion", "") == "finite" and weights_are == "before":
            number, finding = self._step.examine(trainer, pl_module)  # only a non-finite value has a birthplace
        guilty = held[number] if held else MicroBatch(None, -1, {})
        stage = getattr(pl_module, "temporal_fusion", None)
        damaged = [n for n, v in pl_module.state_dict().items() if v.is_floating_point() and not all_finite(v)]
        start = float(self._norm)
        growth = float(weight_norm(pl_module)) / start if start > 0 else math.nan
        return {
            "criterion": getattr(exception, "criterion", ""),
            "exception": type(exception).__name__,
            "message": str(exception),
            "step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "batch_idx": guilty.batch_idx,
            "micro_batch": number,
            "micro_batches": len(held),
            "rank": trainer.global_rank,
            "device": str(pl_module.device),
            "weights_are": weights_are,
            "tokens": tokens_of(guilty.batch),
            "terms": {name: float(term) for name, term in guilty.terms.items()},
            "culprit": finding.facts(),
            "temporal_fusion": next((name for name, module in pl_module.named_modules() if module is stage), ""),
            "weights": {"not_finite": damaged, "growth": growth},
            "fields": field_extremes(guilty.batch),
            "ego_motion": motion_extremes(guilty.batch),
            "history": columns(self.rows),
        }


def weight_norm(pl_module: LightningModule) -> Tensor:
    """2-norm of all finite trainable weights, on the device."""
    with torch.no_grad():
        weights = [p.detach() for p in pl_module.parameters() if p.requires_grad]
        norms = [torch.where(torch.isfinite(w), w, 0).float().norm() for w in weights]
        return torch.stack(norms).norm() if norms else torch.zeros(())


def _saved(micro: MicroBatch) -> dict[str, Any]:
    """As step.pt holds it; without terms where the batch failed before it had any."""
    return {name: value for name, value in vars(micro).items() if name != "terms" or value}
