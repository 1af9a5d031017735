"""Figures are named by what they were measured on and by, and those of different sets or metrics are not ranked."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from report_runs import run_folder, scored

from wotempo.commands.compare import main as compare_main
from wotempo.commands.devkit_scores import read_scores
from wotempo.commands.leaderboard import main as leaderboard_main
from wotempo.navsim.scores import TITLES
from wotempo.pdm.metrics import METRICS
from wotempo.records.evidence import token_hash
from wotempo.report.ablation import Job, job_of
from wotempo.report.run_files import read_files
from wotempo.report.run_page import _measured_on
from wotempo.report.scores import write_official
from wotempo.report.token_set import REFUSED, Scored, about_set, in_words, of_one_set, with_columns

PDMS, EPDMS = TITLES["pdms"], TITLES["epdms"]


def some(shift=0.0, count=120, metric=PDMS):
    return with_columns(scored(shift).iloc[:count], metric)


def test_each_metric_has_a_title():
    assert TITLES.keys() == METRICS.keys()
    assert len(set(TITLES.values())) == len(TITLES)


def test_a_set_has_one_hash_in_any_order():
    assert token_hash(["b", "a"]) == token_hash(["a", "b", "a"]) != token_hash(["ab"])
    about = about_set(["a", "b"], {"across a gap in time": 2, "too near": 1}, masked=0, failed=1)
    assert about == {"hash": token_hash(["a", "b"]), "count": 2, "left_out": 3, "failed": 1}
    assert in_words(about) == f"2 tokens, set {token_hash('ab')}, 3 left out, 1 that cannot be scored"


def test_a_table_of_scores_names_both_and_the_devkits_comparison_reads_it(tmp_path):
    rows = some().assign(score=1.0)
    write_official(rows, ["score"], tmp_path / "model.csv")
    table = pd.read_csv(tmp_path / "model.csv")
    assert set(table["metric"]) == {PDMS}
    assert set(table["token_set"]) == {token_hash(rows["token"])}
    assert list(table.columns[1:4]) == ["token", "valid", "score"]
    assert len(read_scores([tmp_path / "model.csv"])) == len(rows)


def test_a_table_that_lost_rows_is_no_table(tmp_path):
    folder = run_folder(tmp_path / "a", "a", scores=some().iloc[:-3])
    job = job_of(folder, json.loads((folder / "verdict.json").read_text()), "a", 0)
    assert job.rows is None
    assert "its rows are not those of the token set that it names" in job.damage[0]


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"count": 90}, f"{PDMS} over 90 tokens"),
        ({"metric": EPDMS}, f"{EPDMS} over 120 tokens"),
    ],
)
def test_neither_command_ranks_what_was_measured_otherwise(tmp_path, capsys, other, says):
    for name, scores in (("one", some()), ("two", some(0.1)), ("three", some(0.2, **other))):
        run_folder(tmp_path / name, name, scores=scores, lr=len(name) + len(scores))
    assert leaderboard_main([str(tmp_path), f"out={tmp_path / 'board'}"]) == 0
    printed = capsys.readouterr().out
    assert f"{REFUSED}: town 'tiny' has 2 tables." in printed
    assert says in printed
    rows = {row["variant"]: row for row in json.loads((tmp_path / "board.json").read_text())}
    assert rows["one"]["data"] == rows["two"]["data"] != rows["three"]["data"]
    assert rows["three"]["difference"] is None
    assert rows["one"]["token_set"] == token_hash(some()["token"])
    page = (tmp_path / "board.html").read_text()
    assert (page.count("<h2>town &#x27;tiny&#x27; · "), REFUSED in page) == (2, True)

    page = f"page={tmp_path / 'c.html'}"
    assert compare_main([str(tmp_path / "three"), str(tmp_path / "one"), "reference=one", page]) == 0
    printed = capsys.readouterr().out
    assert "test/pdms" not in printed
    assert "val/loss" in printed
    assert f"{REFUSED}: test/ is left out. three: {says}" in " ".join(printed.split())
    assert compare_main([str(tmp_path / "two"), str(tmp_path / "one"), "reference=one", page]) == 0
    printed = capsys.readouterr().out
    assert "test/pdms" in printed
    assert f"test split: {PDMS} over 120 tokens, set {token_hash(some()['token'])}" in " ".join(printed.split())


def test_seeds_of_one_variant_that_saw_other_scenes_stand_in_two_tables(tmp_path, capsys):
    for seed, count in ((0, 120), (1, 90)):
        run_folder(tmp_path / f"variant=x/seed={seed}", "x", seed, scores=some(0.1, count))
    assert leaderboard_main([str(tmp_path), f"out={tmp_path / 'board'}"]) == 0
    rows = json.loads((tmp_path / "board.json").read_text())
    assert sorted((row["tokens"], row["runs"]) for row in rows) == [(90, 1), (120, 1)]
    assert REFUSED in capsys.readouterr().out


def test_validation_on_other_tokens_is_not_compared(tmp_path, capsys):
    for name, hash_ in (("one", "a"), ("three", "b")):
        folder = run_folder(tmp_path / name, name, lr=len(name))
        verdict = json.loads((folder / "verdict.json").read_text())
        verdict["facts"]["token_sets"] = {"val": {"hash": hash_ * 16, "count": 5}}
        (folder / "verdict.json").write_text(json.dumps(verdict))
    assert compare_main([str(tmp_path / "three"), str(tmp_path / "one"), f"page={tmp_path / 'c.html'}"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "val/loss" not in printed
    assert f"{REFUSED}: val/ is left out, validated were 5 tokens, set {'b' * 16} and 5 tokens, set" in printed


def test_a_run_from_before_is_read_and_shown_as_such(tmp_path, capsys):
    run_folder(tmp_path / "old", "old", scores=scored(), lr=1)
    run_folder(tmp_path / "new", "new", scores=some(0.1), lr=2)
    unscored = run_folder(tmp_path / "bare", "bare", lr=3)
    assert leaderboard_main([str(tmp_path), f"out={tmp_path / 'board'}"]) == 0
    assert REFUSED not in capsys.readouterr().out, "its rows tell that it is the same set"
    assert "told from the rows: the table names no token set" in _measured_on(read_files(tmp_path / "old"))
    assert "told from" not in _measured_on(read_files(tmp_path / "new"))
    assert "from before they were recorded" in _measured_on(read_files(unscored))


def test_the_table_of_a_sweep_is_of_one_set():
    jobs = [Job(name, 0, {"status": "accepted"}, {}, rows) for name, rows in
            (("a", some(count=90)), ("b", some()), ("c", some(0.1)), ("d", None))]  # fmt: skip
    kept, notes = of_one_set(jobs, "b")
    assert [job.rows is None for job in kept] == [True, False, False, True]
    assert notes == [f"{REFUSED}: the table is of {Scored.in_rows(some()).short}; not in it: a, seed 0"]
    assert of_one_set(jobs[1:], "b")[1] == [f"test split: {Scored.in_rows(some())}"]
    assert np.isfinite(kept[1].rows["pdms"]).all()
