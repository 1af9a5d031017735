"""The verdict: files, order of callbacks, policies, exit codes, and the truth about runs that were killed."""

from __future__ import annotations

import csv
import json
import math
import pickle

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from toy_drive import loader
from toy_run import STEPS, ToyModule, all_guards, judge, ten_guards, toy_trainer

from callbacks import (
    AcceptanceError,
    AcceptanceReport,
    CompleteGuard,
    FiniteGuard,
    Guard,
    LossGuard,
    MemoryGuard,
    exit_code_of,
)
from callbacks.base.plain import plain, write_json

ERROR = AcceptanceError("memory", 41.5, 40.0, 7, "too much", "use less", 11)


def read(folder) -> dict:
    return json.loads((folder / "acceptance" / "verdict.json").read_text())


def test_verdict_file_of_an_accepted_run(tmp_path):
    report, _ = judge(tmp_path)
    verdict = read(tmp_path)
    assert (verdict["status"], verdict["exit_code"], verdict["steps"], verdict["epochs"]) == ("accepted", 0, STEPS, 1)
    assert verdict["facts"] == {"name": "toy", "data": "random walls"}
    assert [c["number"] for c in verdict["criteria"]] == list(range(1, 14))
    codes = {c["name"]: c["exit_code"] for c in verdict["criteria"]}
    assert codes == {
        "complete": 15,
        "checkpoint": 13,
        "memory": 11,
        "loss": 12,
        "finite": 10,
        "shapes": 14,
        "history": 16,
        "ego_motion": 17,
        "warp_gain": 18,
        "gradient_flow": 19,
        "budget": 20,
        "loader": 21,
        "learning_rate": 22,
    }
    for criterion in verdict["criteria"]:
        assert criterion["status"] == "pass"
        assert criterion["message"]
        assert criterion["measured"] is not None
        assert criterion["limit"] is not None
    assert report.card().splitlines()[0] == "ACCEPTED (exit 0) · toy · random walls"
    assert "random walls" in (tmp_path / "acceptance" / "verdict.md").read_text()


def test_card_has_one_line_per_criterion_and_a_next_step(tmp_path):
    guards = ten_guards(memory=MemoryGuard(ceiling_gb=0.001, policy="warn"), loss=LossGuard(min_drop=0.99))
    report, _ = judge(tmp_path, guards=guards)
    lines = report.card().splitlines()
    rows = {line.split()[1]: line.split()[2] for line in lines[2:12]}
    assert rows["memory"] == "warn"
    assert rows["loss"] == "FAIL"
    assert rows["finite"] == "pass"
    assert lines[-1].startswith("  next: Check the learning rate")
    assert lines[-2].startswith("  why:  loss: ")
    assert report.exit_code == 12


def test_killed_run_is_incomplete_on_disk(tmp_path):
    """What a SIGKILL in the first or the second epoch would leave behind."""
    seen = []

    class Look(L.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if batch_idx == 4:
                seen.append(read(tmp_path))

    judge(tmp_path, train=loader(24), extra=(Look(),), max_epochs=2)
    assert [(v["status"], v["exit_code"], v["epochs"]) for v in seen] == [("incomplete", 15, 0), ("incomplete", 15, 0)]
    assert [v["steps"] for v in seen] == [0, 24]


@pytest.mark.parametrize("first", [True, False])
def test_order_of_callbacks_does_not_matter(tmp_path, first):
    report = AcceptanceReport(tmp_path / "acceptance")
    saver = ModelCheckpoint(tmp_path / "checkpoints")
    callbacks = [report, *ten_guards(), saver] if first else [saver, *reversed(ten_guards()), report]
    toy_trainer(tmp_path, *callbacks).fit(ToyModule(), loader(STEPS), loader(1))
    assert report.exit_code == 0, report.card()


def test_summary_reaches_the_logger(tmp_path):
    judge(tmp_path, logger=CSVLogger(tmp_path, name="log", version=""))
    with (tmp_path / "log" / "metrics.csv").open() as file:
        last = [row for row in csv.DictReader(file) if row["acceptance/accepted"]][-1]
    assert float(last["acceptance/accepted"]) == 1.0
    assert float(last["acceptance/loss"]) == 1.0


def test_crash_in_a_later_test_does_not_touch_the_verdict(tmp_path):
    class Breaks(ToyModule):
        def test_step(self, batch, batch_idx):
            raise RuntimeError("size of tensor a")

    report, guards = AcceptanceReport(tmp_path / "acceptance"), ten_guards()
    trainer = toy_trainer(tmp_path, report, *guards, ModelCheckpoint(tmp_path / "checkpoints"))
    module = Breaks()
    trainer.fit(module, loader(STEPS), loader(1))
    trainer.validate(module, loader(1), verbose=False)
    with pytest.raises(RuntimeError, match="size of tensor"):
        trainer.test(module, loader(1), verbose=False)
    assert read(tmp_path)["status"] == "accepted"
    assert report.exit_code == 0


def test_validation_alone_is_not_judged(tmp_path):
    report, guards = AcceptanceReport(tmp_path / "acceptance"), ten_guards()
    toy_trainer(tmp_path, report, *guards).validate(ToyModule(), loader(1), verbose=False)
    assert {guard.status for guard in guards} == {"pending"}
    assert not (tmp_path / "acceptance").exists()


def test_same_objects_judge_a_second_run_anew(tmp_path):
    report, finite = AcceptanceReport(tmp_path / "acceptance"), FiniteGuard()
    bad = ToyModule(noise=math.nan)
    with pytest.raises(AcceptanceError):
        toy_trainer(tmp_path, report, finite).fit(bad, loader(4), loader(1))
    assert report.exit_code == 10
    toy_trainer(tmp_path, report, finite).fit(ToyModule(), loader(4), loader(1))
    assert (finite.status, report.exit_code) == ("pass", 0)


def test_all_switched_off_is_not_accepted(tmp_path):
    guards = [CompleteGuard(policy="off"), FiniteGuard(policy="off")]
    report, _ = judge(tmp_path, train=loader(2), guards=guards)
    assert report.status == "rejected"
    assert report.exit_code != 0


def test_warnings_never_change_the_exit_code(tmp_path):
    guards = ten_guards(loss=LossGuard(min_drop=0.999, policy="warn"))
    report, _ = judge(tmp_path, guards=guards)
    assert report.exit_code == 0
    assert {c["name"]: c["status"] for c in read(tmp_path)["criteria"]}["loss"] == "fail"


@pytest.mark.parametrize("run", ["accepted", "failed live"])
def test_cost_of_the_checks_is_measured(tmp_path, run):
    class Nan(ToyModule):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx) * (math.nan if run != "accepted" else 1.0)

    judge(tmp_path, Nan())
    cost = read(tmp_path)["cost"]
    assert 0 < cost["guard_seconds"] < cost["training_seconds"]
    assert cost["share"] == pytest.approx(cost["guard_seconds"] / cost["training_seconds"], rel=0.05)
    assert cost["by_guard"]["finite"] > 0
    assert (
        cost["by_guard"]["checkpoint"] < 0.5 * cost["guard_seconds"]
    )  # one copy of a batch; it works after the training


def test_exit_codes():
    class Usage(Exception):
        exit_code = 2

    assert exit_code_of(None) == 0
    assert exit_code_of(ERROR) == 11
    assert exit_code_of(ValueError()) == 1
    assert exit_code_of(SIGTERMException()) == 143
    assert exit_code_of(KeyboardInterrupt()) == 15
    assert exit_code_of(SystemExit(3)) == 3
    assert exit_code_of(SystemExit()) == 0
    assert exit_code_of(SystemExit("usage")) == 1
    assert exit_code_of(Usage()) == 2


def test_error_survives_pickling():
    """Launchers (submitit, spawn) send exceptions between processes."""
    copy = pickle.loads(pickle.dumps(ERROR))
    assert str(copy) == str(ERROR) == "memory failed at step 7: too much. use less"
    assert (copy.criterion, copy.measured, copy.limit, copy.exit_code) == ("memory", 41.5, 40.0, 11)


def test_plain_data_is_strict_json(tmp_path):
    tree = {"a": math.nan, "b": (1, -math.inf), 3: torch.device("cpu"), "d": {"e": None, "f": True}}
    write_json(tmp_path / "new" / "x.json", plain(tree))
    text = (tmp_path / "new" / "x.json").read_text()
    assert json.loads(text) == {"a": "nan", "b": [1, "-inf"], "3": "cpu", "d": {"e": None, "f": True}}
    assert "NaN" not in text
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.json"]


def test_unknown_policy_is_an_error():
    with pytest.raises(ValueError, match="policy of criterion 'finite' is 'strict'"):
        FiniteGuard(policy="strict")


def test_every_guard_is_complete():
    guards = all_guards()
    assert len({guard.exit_code for guard in guards}) == len({guard.state_key for guard in guards}) == 13
    assert all(guard.hint and guard.unit and guard.sense in "≥≤=" for guard in guards)
    assert all(
        isinstance(guard, Guard) and guard.policy == ("warn" if guard.name == "loader" else "fail") for guard in guards
    )
