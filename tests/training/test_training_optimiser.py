"""The schedule ends with the run, and the rates of the groups really apply."""

from __future__ import annotations

import defaults
import lightning as L
import pytest
import torch
from torch import nn

from wotempo.training.optimiser import build_optimiser, parameter_groups, schedule_factor


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self._backbone = nn.ModuleDict({"image_encoder": nn.Linear(2, 2), "lidar_encoder": nn.Linear(2, 2)})
        self.fusion = nn.Linear(2, 2)
        self.head = nn.Linear(2, 2)
        self.trajectory_anchors = nn.Parameter(torch.zeros(3), requires_grad=False)


CONFIG = defaults.optimiser(lr=1e-3, image_encoder_multiplier=0.1, fusion_multiplier=2.0)


def test_every_trained_parameter_is_in_exactly_one_group():
    model = Toy()
    grouped = [p for group in parameter_groups(model, CONFIG) for p in group["params"]]
    assert len(grouped) == len({id(p) for p in grouped}) == 8
    assert all(p is not model.trajectory_anchors for p in grouped)


@pytest.mark.parametrize("total", [1, 2, 5, 71, 1000])
def test_the_cosine_ends_at_the_last_step_of_the_run(total):
    factors = [schedule_factor(step, total, CONFIG) for step in range(total)]
    assert max(factors) == pytest.approx(1.0)
    assert all(0 < f <= 1 for f in factors)
    if total > 2:
        assert factors[-1] == pytest.approx(CONFIG.final_fraction)


def test_group_rates_keep_their_ratio_over_the_whole_schedule():
    optimiser, schedule, interval = build_optimiser(Toy(), CONFIG, total_steps=20)
    assert interval == "step"
    for _ in range(20):
        rates = {group["name"]: group["lr"] for group in optimiser.param_groups}
        assert rates["image_encoder"] == pytest.approx(0.1 * rates["main"])
        assert rates["fusion"] == pytest.approx(2.0 * rates["main"])
        optimiser.step()
        schedule.step()


def test_warm_up_rises_linearly_to_the_peak():
    config = defaults.optimiser(warmup_fraction=0.1)
    assert [schedule_factor(step, 100, config) for step in range(10)] == pytest.approx([i / 10 for i in range(1, 11)])


def test_compat_is_what_the_published_run_did():
    """Its facts: thirds of the rate in the first three epochs, 8.35e-5 in the 30th, one rate for all groups."""
    config = defaults.optimiser(schedule="compat", image_encoder_multiplier=0.1)
    optimiser, schedule, interval = build_optimiser(Toy(), config, total_steps=7)
    assert interval == "epoch"
    rates = []
    for _ in range(30):
        assert len({group["lr"] for group in optimiser.param_groups}) == 1
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert rates[:4] == pytest.approx([1e-4 / 3, 2e-4 / 3, 1e-4, 1e-4])
    assert rates[29] == pytest.approx(8.35e-5, abs=2e-7)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_it_is_fused_and_gradients_are_clipped_in_every_precision(precision, tmp_path):
    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = Toy()

        def training_step(self, batch, batch_idx):
            return 1e6 * sum(parameter.sum() for parameter in self.model.parameters())

        def configure_optimizers(self):
            self.optimiser, _, _ = build_optimiser(self.model, CONFIG, 4)
            return self.optimiser

        def on_before_zero_grad(self, optimizer):
            norms = [p.grad.norm() for p in self.parameters() if p.grad is not None]
            self.norm = torch.stack(norms).norm() if norms else None

    module = Module()
    trainer = L.Trainer(
        accelerator="cpu", precision=precision, gradient_clip_val=1.0, max_steps=2, logger=False, barebones=True
    )
    trainer.fit(module, torch.utils.data.DataLoader([torch.zeros(1)] * 2))
    assert module.optimiser.param_groups[0]["fused"]
    assert module.norm == pytest.approx(1.0, rel=1e-3)
