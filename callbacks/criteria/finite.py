"""``finite``: no NaN or Inf in losses and gradients, found before the optimiser takes the step."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerStatus
from torch import Tensor
from torch.optim import Optimizer

from callbacks.base.guard import Guard, Policy
from callbacks.base.protocol import loss_terms, tokens_of
from callbacks.base.tensors import all_finite
from callbacks.measures.step import StepUnderWay


class FiniteGuard(Guard):
    """Watches every loss term of every micro-batch and the gradient of every parameter; one wait for the device per
    optimiser step. On failure the step is re-run with hooks (measures/step.py), and the message names the loss term,
    the first parameter with a non-finite gradient, and the module in which the first non-finite value was born.

    fp16: the loss scaler finds its scale by overflowing, and skips those steps itself. Non-finite *gradients* are
    therefore tolerated ``max_scaler_skips`` times in a row; a non-finite loss never is.

    After a validation its metrics are looked at: all whose names begin with ``val``, losses, and what a
    ``ModelCheckpoint`` monitors (a NaN there would choose the best file).

    Before a checkpoint is written, all weights and buffers that go into it are looked at, so that the file of before
    is not replaced by a damaged one. It cannot see what becomes non-finite only in inference, in buffers that are not
    saved, or in the forward pass without reaching a loss; nor finite values that are absurd.

    Args:
        max_scaler_skips: consecutive fp16 steps that may overflow.
        diagnose: re-run the failing step to find the module.
    """

    name = "finite"
    number = 5
    exit_code = 10
    unit = "non-finite steps"
    sense = "="
    hint = "Lower the learning rate, clip gradients, or repair the named module. The weights are still clean."

    def __init__(self, max_scaler_skips: int = 16, diagnose: bool = True, policy: Policy = "fail") -> None:
        super().__init__(policy)
        self.limit = 0
        self.max_scaler_skips = max_scaler_skips
        self.diagnose = diagnose
        self.memory = {"steps": 0, "scaler_skips": 0, "skips_in_a_row": 0}
        self._ok: dict[str, Tensor] = {}  # by loss term, on the device, over the micro-batches of this step

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._ok = {}  # of a run that failed before with the same object
        StepUnderWay.of(trainer).clear()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        StepUnderWay.of(trainer).begin(trainer, pl_module, batch, batch_idx)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        StepUnderWay.of(trainer).end_batch(trainer)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        terms = {**loss_terms(pl_module), "loss": loss.detach()}
        for name, term in terms.items():
            ok = torch.isfinite(term).all()
            self._ok[name] = self._ok[name] & ok if name in self._ok else ok

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        groups = optimizer.param_groups
        gradients = [grad for group in groups for p in group["params"] if (grad := p.grad) is not None]
        norm = StepUnderWay.of(trainer).gradient = torch.nn.utils.get_total_norm(gradients)
        loss_bad = ~torch.stack(list(self._ok.values())).all() if self._ok else torch.zeros_like(norm, dtype=torch.bool)
        bad = torch.stack([loss_bad, ~torch.isfinite(norm)]).float()
        # Gradients are the same on all ranks, a term without gradient is not: one small sum makes all ranks agree.
        bad_loss, bad_gradient = (value > 0 for value in self.fetch(trainer.strategy.reduce(bad, reduce_op="sum")))
        if bad_gradient:
            # A 2-norm takes a tenth of the time of the maximum norm, but squares of finite values may overflow.
            bad = ~torch.isfinite(torch.nn.utils.get_total_norm(gradients, norm_type=float("inf")))
            (ranks,) = self.fetch(trainer.strategy.reduce(bad.float().reshape(1), reduce_op="sum"))
            bad_gradient = ranks > 0
        self.memory["steps"] += 1
        if bad_loss or (bad_gradient and not self._scaler_may_skip(trainer)):
            self._report(trainer, pl_module, bad_loss)
        elif not bad_gradient:
            self.memory["skips_in_a_row"] = 0
        self._ok = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        monitors = {c.monitor for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.monitor}
        metrics = {k: v for k, v in trainer.callback_metrics.items() if self._judged(k) or k in monitors}
        if trainer.sanity_checking or not metrics:
            return
        values = self.fetch(torch.stack([value.float().reshape(()) for value in metrics.values()]))
        bad = [name for name, value in zip(metrics, values, strict=True) if not math.isfinite(value)]
        self.stop_if(trainer, bool(bad), f"after validation {', '.join(bad)} is not finite", 1, metrics=bad)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.status != TrainerStatus.RUNNING:
            return  # a rescue file of a run that ended already: other ranks may be gone, and it must not be replaced
        values = {n: v for n, v in checkpoint["state_dict"].items() if isinstance(v, Tensor) and v.is_floating_point()}
        if not values:
            return
        # A norm of finite values may overflow, but is never finite where a value is not; one number comes to the host.
        (norm,) = self.fetch(torch.nn.utils.get_total_norm(list(values.values())).reshape(1))
        bad = [] if math.isfinite(norm) else [n for n, v in values.items() if not all_finite(v)]
        text = f"{len(bad)} weights or buffers are not finite as a checkpoint is to be written, first {bad[:1]}"
        self.stop_if(trainer, bool(bad), text, 1, weights=bad[:20])

    @staticmethod
    def _judged(metric: str) -> bool:
        return "loss" in metric or metric.startswith(("val/", "val_"))

    def _scaler_may_skip(self, trainer: Trainer) -> bool:
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            return False
        self.memory["scaler_skips"] += 1
        self.memory["skips_in_a_row"] += 1
        return self.memory["skips_in_a_row"] <= self.max_scaler_skips

    def _report(self, trainer: Trainer, pl_module: LightningModule, bad_loss: bool) -> None:
        if self.status == "fail":
            return  # under policy ``warn``: the first failure is the verdict
        terms = [name for name, ok in self._ok.items() if not bool(ok)]
        terms = [name for name in terms if name != "loss"] or terms  # the sum says nothing that its terms do not
        gradients = {name: p.grad for name, p in pl_module.named_parameters() if p.grad is not None}
        parameter = next((name for name, gradient in gradients.items() if not all_finite(gradient)), "")
        found = f"loss term {', '.join(terms)} is not finite" if terms else f"the gradient of {parameter} is not finite"
        step = StepUnderWay.of(trainer)
        facts: dict[str, Any] = {"terms": terms, "parameter": parameter}
        number = -1
        if self.diagnose:
            number, finding = step.examine(trainer, pl_module)
            facts["culprit"] = finding.sentence
            found = f"{found}; {finding.sentence}"
        micro = step.micro_batches[number]
        facts |= {"tokens": tokens_of(micro.batch), "batch_idx": micro.batch_idx}
        # All ranks know that one failed; where a loss did, only that rank has a finding.
        self.stop_if(trainer, bool(terms) or not bad_loss, found, 1, **facts)

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        steps, skips = self.memory["steps"], self.memory["scaler_skips"]
        if steps == 0:
            self.record("inconclusive", "no optimiser step was seen")
            return
        note = f", {skips} steps skipped by the fp16 scaler" if skips else ""
        self.record("pass", f"losses and gradients finite in {steps} steps{note}", 0, **self.memory)
