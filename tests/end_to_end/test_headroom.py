"""What velocities are worth to the collision scores, on a run of the command line."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]


def test_rules_and_a_planner_are_held_side_by_side(train, study, capsys):
    _, verdict = train("experiment=baseline_1epoch")
    capsys.readouterr()
    assert study("headroom", verdict["run_dir"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line[:60].strip(): [float(cell) for cell in line[60:].split()] for line in lines[-4:]}
    assert len(rows) == 4
    assert all(len(values) == 4 and all(0 <= value <= 1 for value in values) for values in rows.values())
    still, moving = (rows[f"clearance, agents {what}"] for what in ("stand still", "keep their velocity"))
    assert moving[0] > still[0] > 0.5  # NC of the training split: the labels know about speeds


def test_what_is_no_run_is_refused(study, tmp_path, capsys):
    assert study("headroom") == 2
    assert study("headroom", tmp_path) == 2
    assert "config.yaml is missing" in capsys.readouterr().err
