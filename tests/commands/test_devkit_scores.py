"""Two tables of scores: what differs is counted and named, whoever lacks it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wotempo.commands.devkit_scores import main
from wotempo.report.scores import write_official


def table(path: Path, **columns: list) -> str:
    write_official(pd.DataFrame({"valid": True, **columns}), [name for name in columns if name != "token"], path)
    return str(path)


@pytest.fixture
def ours(tmp_path) -> str:
    rows = {"token": ["a", "b", "c"], "ego_progress": [0.5, np.nan, 1.0], "score": [0.25, 0.75, 1.0]}
    return table(tmp_path / "ours.csv", **rows)


def test_equal_tables_in_several_parts_and_another_order(ours, tmp_path, capsys):
    first = table(tmp_path / "1.csv", token=["c", "b"], ego_progress=[1.0, np.nan], score=[1.0, 0.75 + 1e-7])
    second = table(tmp_path / "2.csv", token=["a"], ego_progress=[0.5], score=[0.25])
    assert main([ours, first, second]) == 0
    out = capsys.readouterr().out
    assert "3 tokens in both" in out
    assert "1.0e-07" in out
    assert "NOT" not in out


@pytest.mark.parametrize(
    ("tokens", "progress", "score", "message"),
    [
        ("ab", [0.5, np.nan], [0.25, 0.75], "1 tokens in ours alone, first c"),
        ("abc", [0.5, np.nan, 1.0], [0.25, 0.7, 1.0], "5.0e-02       1     b"),
        ("abc", [0.5, 1.0, 1.0], [0.25, 0.75, 1.0], "inf       1     b"),
    ],
)
def test_any_difference_is_named_and_an_exit_code(ours, tmp_path, capsys, tokens, progress, score, message):
    devkit = table(tmp_path / "devkit.csv", token=list(tokens), ego_progress=progress, score=score)
    assert main([ours, devkit]) == 1
    out = capsys.readouterr().out
    assert message in out
    assert "NOT the same" in out


def test_what_cannot_be_compared_is_one_sentence(ours, tmp_path, capsys):
    elsewhere = table(tmp_path / "other.csv", token=["x"], score=[1.0])
    (tmp_path / "no.csv").write_text(",k\n0,1\n")
    for arguments, message in (
        ([ours], "name our evaluation's csv"),
        ([ours, str(tmp_path / "gone.csv")], "there is no table"),
        ([ours, str(tmp_path / "no.csv")], "has the columns k"),
        ([ours, elsewhere], "share no token"),
        ([ours, elsewhere, elsewhere], "the token x is there twice"),
    ):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe,token,valid,score\n",
        b",token,valid,score\n0,a,True,0.5\n1,b,True,0.5,7,8\n",
        b",token,valid,score\n0,a,perhaps,0.5\n",
        b",token,valid,score\n0,a,True,much\n",
        b",token,valid,score\n0,,True,0.5\n",
    ],
)
def test_a_damaged_table_is_one_sentence_that_names_it(ours, tmp_path, capsys, content):
    (tmp_path / "devkit.csv").write_bytes(content)
    assert main([ours, str(tmp_path / "devkit.csv")]) == 2
    message = capsys.readouterr().err
    assert f"{tmp_path / 'devkit.csv'} cannot be read" in message
    assert message.count("\n") == 1
