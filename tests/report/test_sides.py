"""Seeds of one configuration are one side; what may be said depends on how many there are."""

from __future__ import annotations

import pytest
from report_runs import run_folder, scored

from wotempo.errors import UserError
from wotempo.report.comparison import compare
from wotempo.report.comparison_page import comparison_page
from wotempo.report.sides import sides


def two_sides(root, seeds, shift=0.1, **options):
    for seed in range(seeds):
        ours = scored(shift, seed=seed, **options)
        run_folder(root / "sweep" / "variant=mine" / f"seed={seed}", "x", seed, scores=ours, lr=0.2)
        theirs = scored(**options)
        run_folder(root / "sweep" / "variant=theirs" / f"seed={seed}", "x", seed, scores=theirs)
    return sides([root / "sweep"])


def test_seeds_are_grouped_and_named_by_their_variant(tmp_path):
    found = two_sides(tmp_path, 3)
    assert [side.name for side in found] == ["mine", "theirs"]
    assert all([job.seed for job in side.jobs] == [0, 1, 2] for side in found)


@pytest.mark.parametrize(("seeds", "finding"), [(1, "better (one run)"), (2, "better (2 runs)"), (3, "better")])
def test_fewer_than_three_seeds_are_marked(tmp_path, seeds, finding):
    comparison = compare(*two_sides(tmp_path, seeds))
    row = comparison.rows.loc["test/pdms"]
    assert row["finding"] == finding
    assert row["low"] < row["difference"] < row["high"]
    assert any("seed" in note for note in comparison.notes) == (seeds < 3)
    assert finding in comparison_page([comparison])


def test_situations_are_compared_apart(tmp_path):
    rows = compare(*two_sides(tmp_path, 3)).rows
    assert rows.loc["turn/pdms", "difference"] == pytest.approx(0.2, abs=0.01)
    assert rows.loc["stop/pdms", "difference"] == pytest.approx(0.1, abs=0.01)
    assert "crossing/pdms" not in rows.index
    old = compare(*two_sides(tmp_path / "old", 3, kinds=False))
    assert "turn/pdms" not in old.rows.index
    assert any("before situations were stored" in note for note in old.notes)


def test_a_difference_within_noise_is_called_that(tmp_path):
    comparison = compare(*two_sides(tmp_path, 3, shift=0.0))
    assert comparison.rows.loc["test/pdms", "finding"] == "within noise"


def test_one_seed_run_twice_is_refused(tmp_path):
    for name in "ab":
        run_folder(tmp_path / name, "x", 0)
    with pytest.raises(UserError, match="of one configuration and seed 0"):
        sides([tmp_path / "a", tmp_path / "b"])
