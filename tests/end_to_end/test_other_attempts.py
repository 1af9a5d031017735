"""Attempts of one run that find other code, other data, another place: said, or refused before a step is made."""

from __future__ import annotations

import csv
import json

import pytest

from wotempo.commands import resume
from wotempo.errors import UserError
from wotempo.records import evidence
from wotempo.runs import facts, identity, unfinished
from wotempo.training.module import LitPlanner

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
RUN = ("experiment=baseline_1epoch", "trainer.limit_train_batches=4", "trainer.max_epochs=2",
       "trainer.limit_val_batches=1", "trainer.checkpoint_every_n_steps=2", "acceptance.loss.allow_inconclusive=true",
       "acceptance.plan.min_scenes=1")  # fmt: skip


class Boom(RuntimeError):
    pass


def at_commit(patch, letter):
    state = {"commit": letter * 40, "dirty": False}
    patch.setattr(facts, "git_state", lambda: state)
    patch.setattr(unfinished, "git_state", lambda: state)
    patch.setattr(identity, "git_state", lambda: state)


def interrupted(train, monkeypatch, step, *overrides):
    plain = LitPlanner.training_step
    with monkeypatch.context() as patch:

        def until(self, batch, batch_idx):
            if self.global_step == step:
                raise Boom
            return plain(self, batch, batch_idx)

        patch.setattr(LitPlanner, "training_step", until)
        return train(*RUN, *overrides)[1]


def test_code_that_changed_is_said_and_data_that_changed_refused(train, tmp_path, monkeypatch, capsys):
    folder = f"run_dir={tmp_path}/run"
    at_commit(monkeypatch, "a")
    begun = interrupted(train, monkeypatch, 3, folder)
    first = begun["facts"]["attempt"]
    at_commit(monkeypatch, "b")
    found = interrupted(train, monkeypatch, 5, folder)  # another commit, the same files
    assert "changed" not in found["facts"]["resumed"][0]
    capsys.readouterr()

    at_commit(monkeypatch, "c")
    files = {name: dict(of) for name, of in evidence.code_files().items()}
    files["src/wotempo"]["training/module.py"] = "other"
    monkeypatch.setattr(evidence, "code_files", lambda: files)
    monkeypatch.setattr("wotempo.runs.identity.code_files", lambda: files)
    with pytest.raises(UserError, match=r"would go on with other code: src/wotempo/training/module\.py"):
        train(*RUN, folder, "reuse=strict")

    with monkeypatch.context() as patch:
        patch.setattr("wotempo.runs.identity.fingerprint", lambda anchors: "others")
        with pytest.raises(UserError, match=r"cannot go on, since it was begun the anchors \(fingerprint\) changed"):
            train(*RUN, folder)

    code, found = train(*RUN, folder)
    assert code == 0, found["reason"]
    sentence = "other code: src/wotempo/training/module.py (commit bbbbbbbbb, then ccccccccc)"
    told = capsys.readouterr().out
    assert f"ATTENTION: {tmp_path}/run goes on at step 4 with {sentence}" in told
    assert f"CHANGED: from step 4 on it ran with {sentence}" in told
    one, two, strict, refused = found["facts"]["resumed"]
    assert [entry["git"]["commit"][0] for entry in (one, two, strict, refused)] == ["a", "b", "c", "c"]
    assert {name: one[name] for name in first} == first
    assert [entry.get("changed") for entry in (one, two, strict, refused)] == [None, None, None, [sentence]]
    assert found["facts"]["git"]["commit"][0] == "c"
    assert sentence in (tmp_path / "run" / "verdict.md").read_text()
    assert (
        json.loads((tmp_path / "run" / "identity.json").read_text())["code"]["src/wotempo/training/module.py"]
        == "other"
    )


def test_a_finished_run_is_extended(train, tmp_path, capsys):
    code, short = train(*RUN, "trainer.max_epochs=1")
    assert code == 0, short["reason"]
    folder = short["run_dir"]
    assert resume.main([str(folder), "trainer.max_epochs=2"]) == 0
    told = capsys.readouterr().out
    assert (
        "accepted after 1 epochs, extended to 2; the schedule is laid out over 2 epochs: the rate had fallen to" in told
    )
    found = json.loads((folder / "verdict.json").read_text())
    assert (found["status"], found["steps"], found["epochs"]) == ("accepted", 8, 2)
    (earlier,) = found["facts"]["extended"]
    assert {name: earlier[name] for name in ("status", "steps", "epochs", "max_epochs", "reason")} == {
        "status": "accepted", "steps": 4, "epochs": 1, "max_epochs": 1, "reason": short["reason"],
    }  # fmt: skip
    assert earlier["criteria"]["complete"] == "pass"
    assert found["facts"]["resumed"][0]["step"] == 4
    rates = [row for row in csv.DictReader((folder / "metrics" / "metrics.csv").open()) if row.get("train/loss")]
    assert [int(row["step"]) for row in rates] == list(range(8))
    assert "max_epochs: 2" in (folder / "config.yaml").read_text()
