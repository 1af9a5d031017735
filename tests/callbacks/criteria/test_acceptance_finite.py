"""NaN and Inf are caught before the step, named, and leave the weights clean."""

from __future__ import annotations

import math
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import nn
from toy_drive import loader
from toy_run import ToyModule, failing, judge, statuses, ten_guards

from callbacks import AcceptanceError, FiniteGuard

BAD_STEP = 20


class NanTerm(ToyModule):
    def losses(self, batch):
        terms = super().losses(batch)
        if self.training and self.global_step == BAD_STEP:
            terms["heading"] = terms["heading"] * math.nan
        return terms


class Remember(L.Callback):
    """The weights after the last step that was taken, and those that were there when the run failed."""

    def on_exception(self, trainer, pl_module, exception):
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "rescue.ckpt")

    def on_train_batch_end(self, trainer, pl_module, *args):
        self.weights = {name: value.clone() for name, value in pl_module.state_dict().items()}


def test_nan_loss_term_ends_the_run_before_the_step(tmp_path):
    memory, module = Remember(), NanTerm()
    report, raised = judge(tmp_path, module, extra=(memory,))
    assert isinstance(raised, AcceptanceError)
    assert (raised.criterion, raised.step, raised.exit_code) == ("finite", BAD_STEP, 10)
    assert failing(report) == ["finite"]
    assert (report.status, report.exit_code) == ("rejected", 10)
    for name, value in module.state_dict().items():
        assert torch.equal(value, memory.weights[name])
    rescued = torch.load(tmp_path / "rescue.ckpt", weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in rescued.values())


def test_message_names_the_term_and_the_samples(tmp_path):
    report, raised = judge(tmp_path, NanTerm())
    finite = next(guard for guard in report.guards if guard.name == "finite")
    assert "loss term heading is not finite" in str(raised)
    assert "born in the computation of the loss" in str(raised)
    assert finite.details["terms"] == ["heading"]
    assert [token[:5] for token in finite.details["tokens"]] == ["frame"] * 4


class InfiniteBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient / 0.0


class Exploder(nn.Module):
    armed = False

    def forward(self, x):
        return InfiniteBackward.apply(x) if self.armed else x * 1.0


class InfGradient(ToyModule):
    """encoder -> exploder -> fusion: everything is finite but what the exploder sends back to the encoder."""

    def __init__(self):
        super().__init__()
        self.exploder = Exploder()

    def encode(self, lidar):
        self.exploder.armed = self.training and self.global_step >= BAD_STEP
        return self.exploder(super().encode(lidar))


def test_inf_gradient_names_parameter_and_layer(tmp_path):
    report, raised = judge(tmp_path, InfGradient())
    assert failing(report) == ["finite"]
    assert "the gradient of encoder.0.weight is not finite" in str(raised)
    assert "in the backward pass of exploder (finite at its output, not at that of encoder.2)" in str(raised)


class NanLayer(ToyModule):
    """The output of one layer overflows; batch norm before it owns buffers that a diagnosis must not touch."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 8, 8, 8), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1))
        self.encoder[2].register_forward_hook(self._overflow)

    def _overflow(self, layer, inputs, output):
        return output / 0.0 if self.training and self.global_step == BAD_STEP else output


def test_first_module_with_non_finite_output_is_named(tmp_path):
    memory, module = Remember(), NanLayer()
    report, raised = judge(tmp_path, module, extra=(memory,))
    assert failing(report) == ["finite"]
    assert "first non-finite output is that of encoder.2 (ReLU), from finite inputs" in str(raised)
    # One more forward pass in training mode than at the last step: the failing one, and not that of the diagnosis.
    assert module.encoder[1].num_batches_tracked == memory.weights["encoder.1.num_batches_tracked"] + 1


def test_nan_in_an_earlier_micro_batch_is_seen(tmp_path):
    class NanMicroBatch(ToyModule):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            if batch_idx == 10:  # the first of the two micro-batches of step 5
                self.loss_terms["heading"] = self.loss_terms["heading"] * math.nan
            return loss

    report, raised = judge(tmp_path, NanMicroBatch(), accumulate_grad_batches=2)
    assert failing(report) == ["finite"]
    assert raised.step == 5


def test_huge_but_finite_gradients_pass(tmp_path):
    class Huge(ToyModule):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx) * 1e25  # the 2-norm overflows float32

    report, raised = judge(tmp_path, Huge())
    assert raised is None
    assert statuses(report)["finite"] == "pass"


def test_nan_validation_loss_is_found(tmp_path):
    class NanValidation(ToyModule):
        def losses(self, batch):
            terms = super().losses(batch)
            return terms if self.training else {name: term * math.nan for name, term in terms.items()}

    report, raised = judge(tmp_path, NanValidation())
    assert failing(report) == ["finite"]
    assert "val/loss" in str(raised)


class Overflowing(ToyModule):
    """fp16 gradients overflow in the first ``until`` steps, as they do while the scaler looks for its scale; each
    ``pause``-th step is fine nevertheless."""

    def __init__(self, until: int, pause: int = 10_000) -> None:
        super().__init__()
        self.until, self.pause = until, pause
        self.batches = 0

    def on_after_backward(self):
        self.batches += 1
        if self.batches <= self.until and self.batches % self.pause:
            self.head.weight.grad.fill_(math.inf)


def half_precision() -> MixedPrecision:
    return MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**16))


def test_overflow_of_the_fp16_scaler_is_healthy(tmp_path):
    report, raised = judge(tmp_path, Overflowing(10), plugins=half_precision())
    assert raised is None
    finite = next(guard for guard in report.guards if guard.name == "finite")
    assert finite.details["scaler_skips"] == 10
    assert report.exit_code == 0, report.card()


def test_overflows_between_good_steps_are_healthy(tmp_path):
    report, raised = judge(tmp_path, Overflowing(1000, pause=12), plugins=half_precision())
    assert raised is None
    assert statuses(report)["finite"] == "pass"


def test_endless_overflow_is_not(tmp_path):
    report, raised = judge(tmp_path, Overflowing(1000), plugins=half_precision())
    assert failing(report) == ["finite"]
    assert raised.step == 16  # Lightning counts the steps that the scaler skipped


@pytest.mark.parametrize("policy", ["warn", "off"])
def test_policy_that_does_not_count(tmp_path, policy):
    report, raised = judge(tmp_path, NanTerm(), guards=ten_guards(finite=FiniteGuard(policy=policy)))
    assert raised is None
    assert statuses(report)["finite"] == {"warn": "fail", "off": "skipped"}[policy]
    assert report.exit_code == 13  # the checkpoint holds NaN, and that does count


def test_healthy_module_without_loss_terms(tmp_path):
    module = ToyModule()
    module.loss_terms = None
    module.training_step = lambda batch, batch_idx: torch.stack(list(module.losses(batch).values())).sum()
    report, _ = judge(tmp_path, module, loader(48))
    assert statuses(report)["finite"] == "pass"


def test_finite_gradients_whose_squares_overflow_are_finite(tmp_path):
    module = ToyModule()
    module.on_after_backward = lambda: module.head.weight.grad.fill_(1e30)
    report, raised = judge(tmp_path, module, loader(4), guards=[FiniteGuard()])
    assert raised is None
    assert statuses(report)["finite"] == "pass"
