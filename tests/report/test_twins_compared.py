"""Twin scenes in the tables of several runs: leaderboard, comparison, ablation, and the page of a run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from report_runs import run_folder, scored
from twin_tables import table

from wotempo.commands import compare, leaderboard, report
from wotempo.report.comparison import compare as compared_sides
from wotempo.report.sides import sides
from wotempo.report.twins import TWINS_FILE
from wotempo.report.twins_compared import compared, same_pairs, tables_of


def twins(share: float, seed: int = 0, **changes):
    rows = table(**changes)
    noise = np.random.default_rng([seed, round(100 * share)]).normal(0, 0.02, len(rows))
    return rows.assign(pdms=rows["blind"] + 0.4 * share + noise, swapped=rows["blind"])


@pytest.fixture
def sweep(tmp_path):
    for name, share in (("repeat", 0.0), ("convgru", 0.6)):
        for seed in range(3):
            run = run_folder(tmp_path / "sweep" / f"variant={name}" / f"seed={seed}", name, seed, scores=scored())
            twins(share, seed).to_parquet(run / TWINS_FILE)
    return tmp_path / "sweep"


def board(sweep, out, reference="repeat"):
    assert leaderboard.main([str(sweep), f"reference={reference}", f"out={out}"]) == 0
    return {line["variant"]: line for line in json.loads((out.parent / f"{out.name}.json").read_text())}


def test_variants_are_held_against_each_other_by_the_share_of_the_headroom(sweep, tmp_path):
    lines = board(sweep, tmp_path / "board")
    ours = lines["convgru"]
    assert ours["share"] == pytest.approx(0.6, abs=0.02)
    assert ours["share_low"] < 0.6 < ours["share_high"]
    assert ours["pair_accuracy"] == pytest.approx(0.8, abs=0.03)
    assert ours["twin_difference"] == pytest.approx(0.6, abs=0.02)
    assert 0.5 < ours["twin_low"] < ours["twin_high"] < 0.7
    assert lines["repeat"]["twin_difference"] is None
    page = (tmp_path / "board.html").read_text()
    assert "Twin scenes" in page
    assert "swap gain" in page
    assert "Δ share [95 %]" in (tmp_path / "board.md").read_text()


def test_tables_without_twins_are_as_they_were(sweep, tmp_path):
    for file in sweep.rglob(TWINS_FILE):
        file.unlink()
    assert not any("share" in name for line in board(sweep, tmp_path / "board").values() for name in line)
    assert "swap gain [" not in (tmp_path / "board.md").read_text()


def test_a_comparison_pairs_them_by_kind(sweep, tmp_path, capsys):
    found = compared_sides(*sides([sweep / "variant=convgru", sweep / "variant=repeat"])).rows
    row = found.loc["twins/share"]
    assert row["difference"] == pytest.approx(0.6, abs=0.02)
    assert row["low"] < row["difference"] < row["high"]
    assert row["finding"] == "better"
    assert row["scenes"] == 120
    assert {"twins/pair_accuracy", "twins/swap_gain", "twins of lead/share"} <= set(found.index)
    assert compare.main([str(sweep), f"page={tmp_path / 'two.html'}", "reference=repeat"]) == 0
    assert "Twins of crossing" in (tmp_path / "two.html").read_text()


def test_one_run_of_each_has_an_interval_over_districts(sweep):
    runs = [sweep / f"variant={name}" / "seed=0" for name in ("convgru", "repeat")]
    row = compared_sides(*sides(runs)).rows.loc["twins/share"]
    assert row["low"] < row["difference"] < row["high"]
    assert "one run" in row["finding"]


@pytest.mark.parametrize("change", [{"knowing": 0.95}, {"pair": [f"other {i}" for i in range(60)]}, {"pairs": 30}])
def test_other_pairs_or_anchors_do_not_compare(sweep, change):
    run = sweep / "variant=convgru" / "seed=1"
    twins(0.6, **change).to_parquet(run / TWINS_FILE)
    a, b = sides([sweep / "variant=convgru", sweep / "variant=repeat"])
    assert not same_pairs(tables_of(a.jobs), tables_of(b.jobs))
    assert compared(tables_of(a.jobs), tables_of(b.jobs)) == []
    found = compared_sides(a, b)
    assert not any(str(name).startswith("twins") for name in found.rows.index)
    assert any("twins are left out" in note for note in found.notes)


def test_a_damaged_table_costs_itself_alone(sweep, capsys):
    run = sweep / "variant=convgru" / "seed=0"
    (run / TWINS_FILE).write_bytes(b"PAR1")
    assert report.main([str(run), "windows=0"]) == 0
    assert "twins.parquet cannot be read" in capsys.readouterr().out


def test_the_page_of_a_run_has_a_section(sweep):
    run = sweep / "variant=convgru" / "seed=0"
    assert report.main([str(run), "windows=0"]) == 0
    page = (run / "report.html").read_text()
    assert "Twin scenes of the test split" in page
    assert "+0.60" in page
