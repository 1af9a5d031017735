"""What is driven is set beside drivers that look at nothing."""

from __future__ import annotations

import pytest
import torch
from toy_evidence import InformedModule, ToyData
from toy_run import ToyModule, judge, statuses, toy_trainer

from callbacks import AcceptanceReport, PlanGuard
from callbacks.criteria.plan import distinct
from callbacks.measures.paired import chance_of


def planned(folder, guard, module=None, data=None, **options):
    module, data = module or InformedModule(), data or ToyData()
    report = AcceptanceReport(folder / "acceptance")
    trainer = toy_trainer(folder, guard, report, enable_checkpointing=False, **options)
    trainer.fit(module, datamodule=data)
    return guard, report


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_a_plan_that_learnt_beats_one_that_stands_still(tmp_path):
    guard, report = planned(tmp_path, PlanGuard(rivals=("standing still",)))
    assert guard.status == "pass", guard.message
    assert guard.measured < 1
    assert {"standing still", "best fixed plan", "random fixed plan", "constant velocity", "plan"} == set(
        guard.details["ade"]
    )
    assert guard.details["scenes"] == guard.details["scored"] == 16
    assert report.exit_code == 0


def test_a_stricter_profile_asks_for_more(tmp_path):
    guard, report = planned(tmp_path, PlanGuard(rivals=("standing still", "constant velocity")))
    assert guard.status == "fail"
    assert "not better than constant velocity" in guard.message
    assert report.exit_code == 27


class Scored(ToyData):
    """The evidence's scores are given: of the plan, and of every other driver."""

    def __init__(self, plan: list[float], others: list[float]) -> None:
        super().__init__()
        self.evidence.score = lambda plans: {name: plan if name == "plan" else others for name in plans}


def test_by_score_the_expert_need_not_be_followed(tmp_path):
    """A planner may drive elsewhere than the expert, if that scores."""

    class Elsewhere(InformedModule):
        def validation_step(self, batch, batch_idx):
            super().validation_step(batch, batch_idx)
            self.validated["plan"] = self.drive(batch)

        def drive(self, batch):
            return super().drive(batch) + 50.0

    by_score = PlanGuard(by="score")
    guard, _ = planned(tmp_path / "good", by_score, Elsewhere(), Scored([0.9, 0.8] * 8, [0.5, 0.6] * 8))
    assert (guard.status, guard.measured) == ("pass", round(0.55 / 0.85, 4)), guard.message
    guard, _ = planned(tmp_path / "ade", PlanGuard(), Elsewhere(), Scored([0.9, 0.8] * 8, [0.5, 0.6] * 8))
    assert guard.status == "fail"


def test_by_score_chance_and_worse_plans_do_not_pass(tmp_path):
    for name, plan, status, reason in (
        ("chance", [0.0, 1.0, 1.0, 0.6] * 4, "inconclusive", "by chance"),
        ("worse", [0.4, 0.5] * 8, "fail", "not better than best fixed plan"),
        ("same", [0.5, 0.6] * 8, "fail", "not better than best fixed plan"),
    ):
        guard, _ = planned(tmp_path / name, PlanGuard(by="score"), data=Scored(plan, [0.5, 0.6] * 8))
        assert guard.status == status, guard.message
        assert reason in guard.message


def test_by_score_without_a_score_is_open_and_another_word_refused(tmp_path):
    guard, _ = planned(tmp_path, PlanGuard(by="score", scored=0))
    assert guard.status == "inconclusive"
    assert "no scene of validation was scored" in guard.message
    with pytest.raises(ValueError, match="'fde'"):
        PlanGuard(by="fde")


def test_without_rivals_plans_are_finite_and_no_more(tmp_path):
    guard, _ = planned(tmp_path, PlanGuard(rivals=()))
    assert (guard.status, guard.limit) == ("pass", None)


def test_few_scenes_and_unknown_rivals_are_open(tmp_path):
    guard, _ = planned(tmp_path / "few", PlanGuard(min_scenes=17))
    assert (guard.status, guard.message) == (
        "inconclusive",
        "16 validated scenes are too few to compare drivers, 17 are needed",
    )
    guard, _ = planned(tmp_path / "unknown", PlanGuard(rivals=("ego-status network",)))
    assert guard.status == "inconclusive"
    assert "ego-status network" in guard.message


def test_a_module_that_plans_nothing_is_skipped(tmp_path):
    report, _ = judge(tmp_path, ToyModule(), guards=[PlanGuard()])
    assert statuses(report) == {"plan": "skipped"}


def test_scenes_without_a_future_are_not_judged(tmp_path):
    class Private(InformedModule):
        def validation_step(self, batch, batch_idx):
            super().validation_step(batch, batch_idx)
            del self.validated["expert"]

    guard, _ = planned(tmp_path, PlanGuard(), Private())
    assert guard.status == "skipped"
    assert "have no future" in guard.message


def test_a_run_without_validation_is_open_if_its_plan_must_beat_a_driver(tmp_path):
    for folder, rivals, status in (("named", ("standing still",), "inconclusive"), ("none", (), "skipped")):
        guard, _ = planned(tmp_path / folder, PlanGuard(rivals), limit_val_batches=0)
        assert (guard.status, guard.message) == (status, "nothing was validated")


def test_plans_are_told_apart_by_a_decimetre():
    plans = torch.zeros(4, 8, 3)
    plans[1, 3, 0] = 0.05
    plans[2, 3, 0] = 0.2
    plans[3, :, 2] = 1.0  # another heading on the same way
    assert distinct(plans) == 2


def test_chance():
    assert chance_of([1.0], [2.0]) == 1.0
    assert chance_of([1.0, 1.0], [2.0, 2.0]) == 0.0
    assert chance_of([2.0, 2.0], [2.0, 2.0]) == 1.0
    assert chance_of([0, 1, 0, 1], [1, 0, 1, 0]) == pytest.approx(0.5)
    assert chance_of([0, 0.9, 0.2, 0.1], [1, 1, 1, 1.1]) < 0.01
