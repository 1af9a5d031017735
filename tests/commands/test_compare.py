"""Two runs side by side: what is shown, what is not claimed, and which runs are taken."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from wotempo.commands.compare import choose, main
from wotempo.errors import UserError
from wotempo.records.reading import read_verdicts
from wotempo.records.run_folders import run_folders
from wotempo.report.ablation import LOWER_IS_BETTER, SCORES
from wotempo.report.comparison import Side, compare, latest_finished, read_run

LOGS = 12


def run_folder(root, name, status="accepted", written="2026-01-01T00:00:00", scores=None, loss=10.0, **facts):
    folder = root / name / written[:10]
    folder.mkdir(parents=True)
    criteria = [{"name": "memory", "status": "pass", "measured": 2.5}]
    if status == "rejected":
        criteria.append({"name": "loss", "status": "fail", "measured": 0.0})
    facts = {"name": name, "seed": 0, "data": "town 'tiny'", "note": "town data: these are not NAVSIM numbers"} | facts
    verdict = {"status": status, "written": written, "steps": 66, "criteria": criteria, "facts": facts}
    (folder / "verdict.json").write_text(json.dumps(verdict))
    (folder / "metrics.json").write_text(json.dumps({"val/loss": loss, "seconds_per_step": 0.5, "train/loss": 1.0}))
    if scores is not None:
        scores.to_parquet(folder / "test.parquet")
    return folder


def scored(shift=0.0, noise=0.02):
    """Scenes whose difficulty differs far more than two runs do."""
    hard = np.random.default_rng(0).uniform(0, 0.8, 10 * LOGS)
    values = hard + shift + np.random.default_rng(1).normal(0, noise, len(hard)) * (shift != 0)
    columns = {metric: values for metric in (*SCORES, *LOWER_IS_BETTER)}
    tokens = [f"{i:04}" for i in range(len(hard))]
    return pd.DataFrame({"token": tokens, "log": np.repeat(range(LOGS), 10), **columns})


def pair(root, a=None, b=None):
    ours = run_folder(root, "convgru_1epoch", **({"scores": scored(0.1), "loss": 9.0} | (a or {})))
    theirs = run_folder(root, "baseline_1epoch", **({"scores": scored()} | (b or {})))
    return compare(Side("convgru_1epoch", [read_run(ours)]), Side("baseline_1epoch", [read_run(theirs)]))


def test_figures_and_their_differences(tmp_path):
    rows = pair(tmp_path).rows
    assert rows.loc["val/loss", "difference"] == -1.0
    assert rows.loc["memory", "a"] == 2.5
    assert rows.loc["seconds_per_step", "difference"] == 0.0
    assert "train/loss" not in rows.index
    pdms = rows.loc["test/pdms"]
    assert 0.09 < pdms["low"] < pdms["difference"] < pdms["high"] < 0.11
    assert pdms["finding"] == "better (one run)"
    assert rows.loc["test/ade", "finding"] == "worse (one run)"


def test_equal_scores_are_no_difference_and_scenes_are_paired_by_token(tmp_path):
    mixed = scored().sample(frac=1.0, random_state=0)
    pdms = pair(tmp_path, a={"scores": mixed}).rows.loc["test/pdms"]
    assert (pdms["difference"], pdms["low"], pdms["high"]) == (0.0, 0.0, 0.0)
    assert pdms["finding"] == "within noise (one run)"


def test_an_unaccepted_run_is_marked_and_never_called_better(tmp_path):
    for side in ("a", "b"):
        comparison = pair(tmp_path / side, **{side: {"status": "rejected"}})
        assert not comparison.rows["finding"].str.contains("better|worse").any()
        assert any("is rejected (loss): nothing follows" in note for note in comparison.notes)


def test_without_scores_only_validation_is_compared_and_how_to_get_them_is_said(tmp_path):
    comparison = pair(tmp_path, b={"scores": None})
    assert not any(name.startswith("test/") for name in comparison.rows.index)
    assert (comparison.rows["finding"] == "").all()
    assert any("ARGS=test=true" in note for note in comparison.notes)


def test_one_log_gives_no_interval(tmp_path):
    alone = scored(0.1)[:10]
    pdms = pair(tmp_path, a={"scores": alone}, b={"scores": scored()[:10]}).rows.loc["test/pdms"]
    assert np.isnan(pdms["low"])
    assert pdms["finding"] == "one run"


def test_what_makes_a_comparison_unfair_is_said(tmp_path):
    notes = pair(tmp_path, b={"seed": 3, "anchors": "other"}).notes
    assert "the runs differ in seed, anchors: their figures do not compare" in notes
    assert notes[0].startswith("one run")


def test_of_two_planners_the_scores_are_compared_and_their_losses_are_not(tmp_path):
    ours = {"planner": "transfuser", "anchors": None}
    comparison = pair(tmp_path, a=ours, b={"anchors": "1a2b"})
    assert "val/loss" not in comparison.rows.index
    assert comparison.rows.loc["test/pdms", "finding"] == "better (one run)"
    assert "val/loss is left out: the planners (transfuser, wote) have other losses" in comparison.notes
    assert not any("anchors" in note for note in comparison.notes)


def test_the_latest_finished_run_of_each_kind_is_taken(tmp_path):
    run_folder(tmp_path, "convgru_1epoch", written="2026-01-01T00:00:00")
    new = run_folder(tmp_path, "convgru_1epoch", written="2026-01-03T00:00:00", status="rejected")
    run_folder(tmp_path, "convgru_1epoch", written="2026-01-04T00:00:00", status="incomplete")
    assert latest_finished(read_verdicts(run_folders(tmp_path))[0], "convgru_1epoch") == new
    with pytest.raises(UserError, match="make train-baseline"):
        choose([], tmp_path)
    base = run_folder(tmp_path, "baseline_1epoch")
    assert choose([], tmp_path) == [new, base]


def test_the_command(tmp_path, capsys):
    new, base = (run_folder(tmp_path, name) for name in ("convgru_1epoch", "baseline_1epoch"))
    assert main([], tmp_path) == 0
    printed = capsys.readouterr().out
    assert "one run" in printed
    assert "town data" in printed
    empty = tmp_path / "empty"
    empty.mkdir()
    page = f"page={tmp_path / 'c.html'}"
    assert main([str(new), str(base), page]) == 0
    assert "Comparison with baseline_1epoch" in (tmp_path / "c.html").read_text()
    assert main([str(new), str(base), "reference=nobody", page]) == 2
    assert "there is no side 'nobody'" in capsys.readouterr().err
    for wrong, why in (
        ([str(new)], "one configuration is named"),
        ([str(new), "none"], "there is no folder none"),
        ([str(new), str(empty)], "holds no verdict.json"),
    ):
        assert main(wrong) == 2
        assert why in capsys.readouterr().err
    unfinished = run_folder(tmp_path, "other", status="incomplete")
    assert main([str(new), str(unfinished)]) == 2
    assert "make resume" in capsys.readouterr().err
