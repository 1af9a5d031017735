"""The velocity probe on a run of the command line."""

from __future__ import annotations

import math

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]


def test_every_reading_of_a_run_is_finite_and_one_frame_is_refused(train, study, capsys):
    _, verdict = train("experiment=convgru_1epoch", "trainer.max_epochs=1", "profile=smoke")
    capsys.readouterr()
    assert study("velocity", verdict["run_dir"], "seeds=1") == 0
    lines = capsys.readouterr().out.splitlines()[-5:]
    assert [line[:34].strip() for line in lines] == [
        "the current map", "the current map, repeated", "history, moved with the ego", "history, not moved",
        "what the run's stage makes of it",
    ]  # fmt: skip
    values = [[float(cell) for cell in line[34:].split()] for line in lines]
    assert all(len(row) == 6 and all(map(math.isfinite, row)) for row in values)
    assert values[2] != values[3]

    _, verdict = train("experiment=baseline_1epoch", "trainer.max_epochs=1", "profile=smoke")
    assert study("velocity", verdict["run_dir"]) == 2
    assert "has no history of BEV maps" in capsys.readouterr().err


def test_mistakes_are_refused(study, tmp_path, capsys):
    run = str(tmp_path)
    for arguments, says in (([], "name one run"), ([run, "seeds=0"], "seeds is 0"), ([run], "no checkpoint")):
        assert study("velocity", *arguments) == 2
        assert says in capsys.readouterr().err
