"""One leaderboard of everything: no place without acceptance, no table over different scenes, nothing left out."""

from __future__ import annotations

import html
import json

import pytest
from report_runs import run_folder, scored

from wotempo.commands import compare
from wotempo.commands.leaderboard import main
from wotempo.config.sweeps import Asked
from wotempo.runs.asked import write_asked, write_end


def sweep(root, variant, shift=0.0, seeds=3, status="accepted", lr=0.1):
    for seed in range(seeds):
        folder = root / f"variant={variant}" / f"seed={seed}"
        run_folder(folder, "x", seed, status=status, scores=scored(shift, seed=seed + 1), lr=lr)


@pytest.fixture
def runs(tmp_path):
    first = tmp_path / "first"
    sweep(first, "none", lr=0.1)
    sweep(first, "mine", 0.1, lr=0.2)
    sweep(first, "loud", 0.9, seeds=3, status="rejected", lr=0.3)
    sweep(first, "young", 0.05, seeds=1, lr=0.4)
    killed = first / "variant=killed" / "seed=0"
    killed.mkdir(parents=True)
    (killed / "config.yaml").write_text("name: x\nseed: 0\nlr: 0.5\n")
    return tmp_path


def board(runs, *arguments):
    code = main([*(str(folder) for folder in [runs]), f"out={runs / 'board'}", *arguments])
    assert code == 0
    rows = json.loads((runs / "board.json").read_text())
    return {row["variant"]: row for row in rows}, [row["variant"] for row in rows], (runs / "board.html").read_text()


def test_an_unaccepted_variant_has_no_place_whatever_it_scored(runs, capsys):
    named, order, page = board(runs, "reference=none")
    assert named["loud"]["pdms"] > named["mine"]["pdms"]
    assert [name for name in order if name != "killed"] == ["mine", "young", "none", "loud"]
    assert named["loud"]["finding"] == "not accepted"
    assert page.index(">mine") < page.index(">none") < page.index(">loud")
    assert '<td><span class="fail">✗</span></td>' in page
    told = capsys.readouterr().out
    assert "✗ loud: seed 0 rejected, seed 1 rejected, seed 2 rejected" in told


def test_scores_and_differences_have_intervals_and_few_seeds_are_marked(runs):
    named, _, page = board(runs, "reference=none")
    mine, young = named["mine"], named["young"]
    assert mine["score_low"] < mine["pdms"] < mine["score_high"]
    assert mine["low"] < mine["difference"] < mine["high"]
    assert mine["finding"] == "better"
    assert (young["score_low"], young["finding"]) == (None, "one run")
    assert "young †" in page
    assert "mine †" not in page
    assert (mine["memory_gb"], mine["minutes"], mine["seconds_per_step"]) == (2.5, 1.0, 0.5)


def test_a_run_that_was_killed_before_training_is_shown_apart(runs, capsys):
    board(runs)
    assert "no run began training" in (runs / "board.html").read_text()
    assert "✗ killed: seed 0 incomplete" in capsys.readouterr().out


def test_variants_of_the_same_name_in_two_sweeps_stay_apart(runs):
    sweep(runs / "second", "none", 0.02, lr=0.7)
    named, _, _ = board(runs)
    assert {"none (first)", "none (second)"} <= set(named)
    assert named["none (first)"]["runs"] == named["none (second)"]["runs"] == 3


def test_of_a_seed_that_was_run_twice_the_last_counts_and_it_says_so(runs, capsys):
    for day, shift in (("01", 0.3), ("02", 0.0)):
        folder = run_folder(runs / "again" / f"2026-01-{day}", "again", scores=scored(shift), lr=0.9)
        verdict = folder / "verdict.json"
        verdict.write_text(verdict.read_text().replace('"written": "2026-01-01"', f'"written": "2026-01-{day}"'))
    named, _, _ = board(runs)
    assert named["again"]["runs"] == 1
    assert named["again"]["pdms"] == pytest.approx(scored(0.0)["pdms"].mean())
    assert "2026-01-01 of again, seed 0, was run again: 2026-01-02 counts" in capsys.readouterr().out


def test_scores_on_other_data_stand_in_a_table_of_their_own(runs):
    sweep(runs / "other", "elsewhere", 0.3, lr=0.8)
    for file in (runs / "other").rglob("verdict.json"):
        file.write_text(file.read_text().replace("town 'tiny'", "NAVSIM"))
    named, _, page = board(runs)
    assert named["elsewhere"]["data"] == "NAVSIM"
    assert named["elsewhere"]["finding"] == "reference"
    assert "<h2>NAVSIM</h2>" in page


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("reference=nine", "there is no variant 'nine': did you mean"),
        ("metric=pmds", "there is no metric 'pmds': did you mean 'pdms'?"),
        ("margin=much", "margin is 'much'"),
        ("nowhere", "there is no folder nowhere"),
    ],
)
def test_mistakes_are_one_sentence(runs, capsys, argument, says):
    assert main([str(runs / "first"), f"out={runs / 'board'}", argument]) == 2
    assert says in capsys.readouterr().err
    assert not (runs / "board.html").exists()


def test_nothing_to_show_is_said(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_jobs_that_were_asked_for_and_never_ran_are_named(runs, capsys):
    first = runs / "first"
    asked = [Asked([f"variant={name}"], f"variant={name}/seed={seed}") for name, seed in
             (("none", 0), ("mine", 1), ("lost", 0), ("refused", 0), ("broken", 2))]  # fmt: skip
    write_asked(first, asked)
    write_end(first / "variant=none" / "seed=0", 0, "")
    write_end(first / "variant=mine" / "seed=1", 1, "its scores were not written")
    write_end(first / "variant=refused" / "seed=0", 2, "there is no log x\n| name another")
    write_end(first / "variant=broken" / "seed=2", 1, "ValueError: a fault")
    told = {
        "✗ mine, seed 1: crashed: its scores were not written",
        "✗ lost, seed 0: not run: it never began, or its process was lost",
        "✗ refused, seed 0: refused: there is no log x | name another",
        "✗ broken, seed 2: crashed: ValueError: a fault",
    }
    _, _, page = board(runs)
    printed = [line.partition(" (/")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("✗ ")]
    assert told <= set(printed)
    assert not any("none, seed 0" in line for line in printed)
    assert all(line in html.unescape(page) for line in told)
    pages = (runs / "board.md").read_text()
    assert "refused: there is no log x \\| name another" in pages
    assert compare.main([str(first), f"page={runs / 'two.html'}", "reference=none"]) == 0
    assert told <= {line.strip().partition(" (/")[0] for line in capsys.readouterr().out.splitlines()}


def test_a_sweep_of_which_nothing_ran_says_what_was_asked(tmp_path, capsys):
    write_asked(tmp_path, [Asked(["name=a"], "name=a/seed=0")])
    write_end(tmp_path / "name=a" / "seed=0", 2, "there is no such log")
    assert main([str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert "✗ name=a, seed 0: refused: there is no such log" in printed.out
    assert "holds no run" in printed.err
