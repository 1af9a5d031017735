"""A run has a verdict from the moment in which its folder is claimed, whatever ends it before training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hydra import compose

from callbacks import Preempted
from callbacks.verdict.report import UNPREPARED
from wotempo.config.composition import loaded
from wotempo.errors import UserError
from wotempo.experiment import run as experiment
from wotempo.records.reading import read_verdict
from wotempo.runs.unfinished import claim_run_dir, unfinished_runs


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """``begin(what)``: a run whose preparation raises it, or calls it -> what comes out."""

    def run(what: BaseException | None, *overrides: str, name: str = "run") -> BaseException:
        def prepare(config):
            seen = read_verdict(Path(config.run_dir))
            assert (seen["status"], seen["reason"]) == ("incomplete", UNPREPARED)  # as a killed one leaves it
            raise what

        monkeypatch.setattr(experiment, "prepare_data", prepare)
        with loaded():
            config = compose("train", overrides=[f"run_dir={tmp_path / name}", "trainer=cpu", *overrides])
        with pytest.raises(type(what)) as caught:
            experiment.work(config)
        return caught.value

    return run


@pytest.mark.parametrize(
    ("error", "status", "code", "reason"),
    [
        (UserError("there is no log x: name another"), "incomplete", 2, "there is no log x"),
        (OSError(28, "No space left on device"), "incomplete", 2, "the disk is full"),
        (MemoryError(), "incomplete", 2, "the memory is used up"),
        (ValueError("a fault"), "crashed", 1, "ValueError: a fault"),
        (KeyboardInterrupt(), "incomplete", 15, "interrupted from the keyboard"),
        (Preempted("the time limit is near"), "incomplete", 15, "the time limit is near"),
    ],
)
def test_what_ends_a_preparation_stands_in_the_verdict(begin, tmp_path, error, status, code, reason):
    begin(error)
    verdict = read_verdict(tmp_path / "run")  # its seal fits
    assert (verdict["status"], verdict["exit_code"]) == (status, code)
    assert reason in verdict["reason"]
    assert {"name", "signature", "command", "seed", "fusion"} <= set(verdict["facts"])
    assert (tmp_path / "run" / "config.yaml").is_file()


def test_building_counts_too(begin, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment.torch.cuda, "is_available", lambda: False)
    with (
        pytest.raises(UserError, match="there is no GPU"),
        loaded(),
    ):
        experiment.work(compose("train", overrides=[f"run_dir={tmp_path / 'gpu'}", "trainer=gpu"]))
    assert "there is no GPU" in read_verdict(tmp_path / "gpu")["reason"]


def test_the_same_run_goes_on_in_that_folder_and_resume_passes_a_refused_one_over(begin, tmp_path):
    begin(UserError("no data"), name="refused")
    begin(KeyboardInterrupt(), name="stopped")
    identity = read_verdict(tmp_path / "stopped")["facts"]["signature"]
    assert [run.name for run in unfinished_runs(tmp_path)] == ["stopped"]
    assert {run.name for run in unfinished_runs(tmp_path, identity)} == {"refused", "stopped"}
    claim = claim_run_dir(tmp_path / "refused", identity, reuse=False)
    assert [entry["reason"] for entry in claim.resumed] == ["no data"]


def test_facts_of_the_attempts_before_stay(begin, tmp_path):
    begin(KeyboardInterrupt())
    file = tmp_path / "run" / "verdict.json"
    verdict = json.loads(file.read_text())
    verdict["facts"] |= {"anchors": "abc", "command": "wotempo train first"}
    file.write_text(json.dumps({key: value for key, value in verdict.items() if key not in ("seal", "evidence")}))
    begin(UserError("labels are gone"))
    facts = read_verdict(tmp_path / "run")["facts"]
    assert (facts["anchors"], facts["command"]) == ("abc", "wotempo train first")
    assert [entry["reason"] for entry in facts["resumed"]] == ["interrupted from the keyboard"]


def test_a_folder_of_another_run_keeps_its_verdict(begin, tmp_path):
    begin(KeyboardInterrupt())
    before = (tmp_path / "run" / "verdict.json").read_bytes()
    with (
        pytest.raises(UserError, match="another configuration"),
        loaded(),
    ):
        experiment.work(compose("train", overrides=[f"run_dir={tmp_path / 'run'}", "optimiser.lr=0.002"]))
    assert (tmp_path / "run" / "verdict.json").read_bytes() == before
