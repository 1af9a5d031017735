"""Budget and loader: a run that cannot end in time is stopped, a loader that holds the step up is told; no clock is
waited for."""

from __future__ import annotations

import pytest
from toy_drive import loader
from toy_run import STEPS, ToyModule, all_guards, failing, judge, statuses

from callbacks import BudgetGuard, LoaderGuard


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Slow(ToyModule):
    """Every training step takes ``step`` seconds, every validation ``val``."""

    def __init__(self, clock: Clock, step: float, val: float = 0.0) -> None:
        super().__init__()
        self.clock, self.step, self.val = clock, step, val

    def training_step(self, batch, batch_idx):
        self.clock.now += self.step
        return super().training_step(batch, batch_idx)

    def on_validation_epoch_end(self):
        self.clock.now += self.val


class Waits:
    """A loader whose batches take ``seconds`` each, one of them ``once`` longer."""

    def __init__(self, clock: Clock, seconds: float, once: float = 0.0) -> None:
        self.clock, self.seconds, self.once = clock, seconds, once
        self.batches = list(loader(STEPS))

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self):
        for number, batch in enumerate(self.batches):
            self.clock.now += self.seconds + self.once * (number == 30)
            yield batch


def budget(hours: float | None, clock: Clock) -> list:
    return all_guards(budget=BudgetGuard(hours, clock=clock))


def test_a_run_that_cannot_fit_is_stopped_early(tmp_path):
    clock = Clock()
    guards = budget(1.0, clock)
    report, raised = judge(tmp_path, Slow(clock, 60.0), guards=guards, max_epochs=2)  # 96 batches: 1.6 h
    assert failing(report) == ["budget"]
    assert (report.exit_code, raised.criterion) == (20, "budget")
    assert raised.measured == pytest.approx(1.6, abs=0.02)
    assert raised.step < STEPS
    assert "the run needs 1.60 h, its budget is 1 h" in str(raised)


@pytest.mark.parametrize("hours", [1.7, None])
def test_a_run_that_fits_or_has_no_budget_goes_on(tmp_path, hours):
    clock = Clock()
    report, raised = judge(tmp_path, Slow(clock, 60.0), guards=budget(hours, clock), max_epochs=2)
    assert raised is None
    assert statuses(report)["budget"] == ("pass" if hours else "skipped")
    assert report.exit_code == 0, report.card()


def test_a_slow_first_batch_is_not_the_pace(tmp_path):
    clock = Clock()

    class Compiles(Slow):
        def training_step(self, batch, batch_idx):
            self.clock.now += 600.0 if batch_idx == 0 else 0.0
            return super().training_step(batch, batch_idx)

    report, raised = judge(tmp_path, Compiles(clock, 10.0), guards=budget(0.5, clock))
    assert raised is None
    assert statuses(report)["budget"] == "pass"


def test_validations_to_come_are_counted(tmp_path):
    clock = Clock()
    report, raised = judge(tmp_path, Slow(clock, 1.0, val=1800.0), guards=budget(1.0, clock), max_epochs=4)
    assert failing(report) == ["budget"]
    assert STEPS < raised.step < 2 * STEPS  # in the second epoch: the first validation is known by then


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ValueError, match="budget_hours is 0"):
        BudgetGuard(0)


def test_waiting_for_data_is_told_and_does_not_count(tmp_path):
    clock = Clock()
    guard = LoaderGuard(clock=clock)
    report, raised = judge(tmp_path, Slow(clock, 1.0), Waits(clock, 4.0, once=50.0), guards=all_guards(loader=guard))
    assert raised is None
    assert (guard.status, report.exit_code) == ("fail", 0)
    assert guard.measured > 0.8
    assert "the longest wait 54 s before batch 30" in guard.message


def test_a_loader_that_must_not_wait_stops_the_run(tmp_path):
    clock = Clock()
    guard = LoaderGuard(clock=clock, every=20, policy="fail")
    report, raised = judge(tmp_path, Slow(clock, 1.0), Waits(clock, 4.0), guards=all_guards(loader=guard))
    assert (report.exit_code, raised.criterion) == (21, "loader")


def test_a_fast_loader_passes(tmp_path):
    clock = Clock()
    guard = LoaderGuard(clock=clock)
    judge(tmp_path, Slow(clock, 1.0), Waits(clock, 0.1), guards=all_guards(loader=guard))
    assert guard.status == "pass"
    assert guard.measured == pytest.approx(0.1 / 1.1, abs=0.01)


def test_validation_is_no_wait(tmp_path):
    clock = Clock()
    guard = LoaderGuard(clock=clock)
    module = Slow(clock, 1.0, val=1000.0)
    judge(tmp_path, module, guards=all_guards(loader=guard), max_epochs=3, val_check_interval=12)
    assert (guard.status, guard.measured) == ("pass", 0.0)
