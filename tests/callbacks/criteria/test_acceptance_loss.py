"""The loss must go down: real decreases pass, flat and rising ones do not, at the stated error rates."""

from __future__ import annotations

import math
import random

import pytest
from toy_drive import loader
from toy_run import STEPS, ToyModule, failing, judge, statuses, ten_guards

from callbacks import LossGuard
from callbacks.measures.trend import FEWEST, decreasing_trend, mann_kendall, rank_sum


class Pretend(ToyModule):
    """Learns as usual, but the loss that the run sees follows ``curve(batch)``."""

    def __init__(self, curve):
        super().__init__()
        self.curve = curve

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss - loss.detach() + self.curve(batch_idx)


@pytest.mark.parametrize(
    "curve",
    [
        lambda i: 1.0,
        lambda i: 1.0 + 0.01 * i,
        lambda i: 1.0 - 0.0001 * i,  # a decrease without doubt, but of less than 1 %
        lambda i: 1.0 if i < 40 else math.exp(i - 40),  # blows up at the end
    ],
    ids=["constant", "rising", "too little", "blow-up"],
)
def test_a_loss_that_does_not_fall_is_rejected(tmp_path, curve):
    report, raised = judge(tmp_path, Pretend(curve))
    assert raised is None  # judged at the end
    assert failing(report) == ["loss"], report.card()
    assert (report.status, report.exit_code) == ("rejected", 12)


def test_a_decrease_that_may_be_chance_is_not_accepted(tmp_path):
    report, _ = judge(tmp_path, Pretend(lambda i: 1.0 + 0.2 * (i % 3) - (0.05 if i > 35 else 0.0)))
    assert statuses(report)["loss"] == "inconclusive"
    assert "may be chance" in report.reason
    assert report.exit_code == 12


def test_too_few_steps_are_inconclusive_and_count_unless_allowed(tmp_path):
    report, _ = judge(tmp_path / "a", train=loader(12))
    assert statuses(report)["loss"] == "inconclusive"
    assert (report.status, report.exit_code) == ("rejected", 12)
    smoke = ten_guards(loss=LossGuard(allow_inconclusive=True))
    report, _ = judge(tmp_path / "b", train=loader(12), guards=smoke)
    assert statuses(report)["loss"] == "inconclusive"
    assert report.exit_code == 0, report.card()
    assert "not decided, and allowed to be: loss" in report.reason


def test_accumulated_batches_show_their_whole_loss(tmp_path):
    report, _ = judge(tmp_path, Pretend(lambda i: 2.0 - i / STEPS), accumulate_grad_batches=4)
    loss = next(guard for guard in report.guards if guard.name == "loss")
    assert loss.details["early"] == pytest.approx(2.0, abs=0.1)
    assert loss.details["late"] == pytest.approx(1.1, abs=0.1)


def test_terms_are_reported(tmp_path):
    report, _ = judge(tmp_path)
    loss = next(guard for guard in report.guards if guard.name == "loss")
    early, late = loss.details["terms"]["position"]
    assert early > late > 0


def flat(n: int, rng: random.Random, spread: float) -> list[float]:
    return [math.exp(rng.gauss(0, spread)) for _ in range(n)]


def accepted(values: list[float], alpha: float = 0.01, min_drop: float = 0.01) -> bool:
    trend = decreasing_trend(values)
    return min(1.0, 2 * min(trend.p_ends, trend.p_trend)) <= alpha and trend.drop >= min_drop


@pytest.mark.parametrize("n", [FEWEST, 40, 200])
def test_noise_without_trend_is_accepted_no_more_often_than_stated(n):
    rng = random.Random(n)
    runs = 600
    count = sum(accepted(flat(n, rng, 0.5)) for _ in range(runs))
    assert count <= runs * 0.01 + 3 * math.sqrt(runs * 0.01)  # alpha, and three standard deviations of the count


@pytest.mark.parametrize(
    ("shape", "least"),
    [
        (lambda x: 0.3 + 0.7 * math.exp(-3 * x), 0.99),  # the usual curve
        (lambda x: 0.3 + 0.7 * math.exp(-100 * x), 0.85),  # over after some batches, then flat
        (lambda x: 1.0 - 0.3 * x, 0.9),  # slow and steady, as in fine-tuning
        (lambda x: 1.0 if x < 0.2 else 0.6, 0.95),  # warm-up first
    ],
    ids=["usual", "at once", "slow", "warm-up"],
)
def test_healthy_noisy_runs_are_not_rejected(shape, least):
    rng = random.Random(0)
    runs, n = 200, 300
    ok = sum(accepted([shape(i / n) * math.exp(rng.gauss(0, 0.3)) for i in range(n)]) for _ in range(runs))
    assert ok >= least * runs


def test_outliers_do_not_hide_a_decrease():
    rng = random.Random(0)
    values = [(1.0 - 0.5 * i / 300) * math.exp(rng.gauss(0, 0.2)) * (1000 if i % 17 == 0 else 1) for i in range(300)]
    assert accepted(values)


def test_p_values_against_known_ones():
    # Exact one-sided Mann-Whitney of complete separation is 1 / C(16, 8) = 7.8e-5, the approximation 4.7e-4.
    assert rank_sum([2.0 + i for i in range(8)], [-1.0 - i for i in range(8)]) == pytest.approx(4.7e-4, rel=0.05)
    assert rank_sum([1.0] * 8, [1.0] * 8) == 1.0
    # Kendall's S = 45 for ten falling values: z = 44 / sqrt(125).
    assert mann_kendall(list(range(10, 0, -1))) == pytest.approx(4.15e-5, rel=0.01)
    assert mann_kendall([3.0] * 10) == 1.0
    assert mann_kendall(list(range(10))) > 0.999


def test_a_series_that_is_too_short_is_an_error():
    with pytest.raises(ValueError, match="at least 24 values"):
        decreasing_trend([1.0] * 10)
    with pytest.raises(ValueError, match="fewer than 24"):
        LossGuard(min_batches=10)
