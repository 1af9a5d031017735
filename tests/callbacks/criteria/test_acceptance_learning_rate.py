"""Rates that cannot train are stopped before they harm; usual schedules are left alone."""

from __future__ import annotations

import math

import pytest
import torch
from toy_drive import loader
from toy_run import STEPS, ToyModule, all_guards, failing, judge, statuses

from callbacks import LearningRateGuard


class Scheduled(ToyModule):
    """``factor(step)`` times 0.01, per optimiser step."""

    def __init__(self, factor) -> None:
        super().__init__()
        self.factor = factor

    def configure_optimizers(self):
        optimiser = torch.optim.Adam(self.parameters(), 0.01)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self.factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def stepped(value: float, at: int = 20):
    return lambda step: value if step == at else 1.0


@pytest.mark.parametrize(
    ("factor", "says"),
    [
        (stepped(math.nan), "the rate of group 0.0 is nan"),
        (stepped(math.inf), "the rate of group 0.0 is inf"),
        (stepped(-1.0), "the rate of group 0.0 is -0.01"),
        (stepped(30.0), "jumps to 0.3, 30 times the highest before"),
    ],
    ids=["nan", "inf", "negative", "jump"],
)
def test_a_bad_rate_ends_the_run_before_its_step(tmp_path, factor, says):
    module = Scheduled(factor)
    report, raised = judge(tmp_path, module)
    assert failing(report) == ["learning_rate"]
    assert (report.exit_code, raised.step) == (22, 20)
    assert says in str(raised)
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())


def test_a_rate_that_stays_zero_ends_the_run(tmp_path):
    guards = all_guards(learning_rate=LearningRateGuard(min_steps=16))
    _, raised = judge(tmp_path, Scheduled(lambda step: 0.0), guards=guards)
    assert (raised.criterion, raised.step) == ("learning_rate", 15)
    assert "zero in all of the first 16 steps" in str(raised)


def test_a_schedule_that_ends_too_early_fails(tmp_path):
    report, raised = judge(tmp_path, Scheduled(lambda step: max(0.0, 1 - step / 24)))
    assert raised is None
    assert failing(report) == ["learning_rate"]
    assert "zero in 24 of 48 steps" in report.reason


HEALTHY = {
    "constant": lambda step: 1.0,
    "warm-up": lambda step: min(1.0, step / 10),
    "cosine": lambda step: 0.5 * (1 + math.cos(math.pi * step / STEPS)),
    "restarts": lambda step: 0.5 * (1 + math.cos(math.pi * (step % 12) / 12)),
    "steps": lambda step: 0.01 ** (step // 16),
    "one cycle": lambda step: 0.04 + (step / 16 if step < 16 else max(0.0, 2 - step / 16)),
}


@pytest.mark.parametrize("factor", HEALTHY.values(), ids=HEALTHY)
def test_usual_schedules_pass(tmp_path, factor):
    report, raised = judge(tmp_path, Scheduled(factor), loader(STEPS))
    assert raised is None
    assert statuses(report)["learning_rate"] == "pass", report.card()


def test_a_warning_does_not_stop(tmp_path):
    guards = all_guards(learning_rate=LearningRateGuard(max_jump=2.0, policy="warn"))
    report, raised = judge(tmp_path, Scheduled(stepped(3.0)), guards=guards)
    assert raised is None
    assert statuses(report)["learning_rate"] == "fail"
    assert report.exit_code == 0
