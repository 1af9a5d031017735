"""A search of two real trials."""

from __future__ import annotations

import json

import pytest
from small_run import SMALL

from wotempo.commands.search import main

pytestmark = pytest.mark.slow


def test_two_trials_train_and_the_better_one_is_named(workspace, tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    given = ["experiment=convgru_1epoch", f"workspace={workspace}", *SMALL, "profile=smoke", "trainer.max_epochs=1"]
    assert main(["run", "trials=2", *given, "acceptance.loss.policy=warn"]) == 0
    figures = {}
    for number in (0, 1):
        folder = tmp_path / "runs" / "search_learning" / f"trial_{number}"
        assert json.loads((folder / "verdict.json").read_text())["status"] == "accepted"
        figures[number] = json.loads((folder / "metrics.json").read_text())["val/ade"]
    assert figures[0] != figures[1]
    assert f"best: trial {min(figures, key=figures.__getitem__)}" in capsys.readouterr().out
