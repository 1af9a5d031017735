"""Runs below a folder: not what wandb and Hydra keep of them."""

from __future__ import annotations

from report_runs import run_folder

from wotempo.records.reading import read_verdicts
from wotempo.records.run_folders import CONFIG, VERDICT, run_folders
from wotempo.report.comparison import latest_finished
from wotempo.report.sides import all_sides, sides


def test_copies_inside_of_a_run_are_no_runs(tmp_path):
    run = run_folder(tmp_path / "runs" / "x" / "2026", "x")
    for inside in ("wandb/offline-run-1/artifacts", "wandb/run-2/files", ".hydra"):
        run_folder(run / inside, "copy")
    assert run_folders(tmp_path / "runs") == run_folders(tmp_path / "runs", CONFIG) == [run]
    assert [side.name for side in sides([tmp_path])] == [side.name for side in all_sides([tmp_path])[0]] == ["x"]
    assert latest_finished(read_verdicts(run_folders(tmp_path))[0], "copy") is None


def test_a_run_is_found_by_itself_and_below_a_folder_of_any_name(tmp_path):
    run = run_folder(tmp_path / "wandb" / "mine", "x")
    assert run_folders(run) == [run]
    assert run_folders(tmp_path / "wandb", VERDICT) == [run]
