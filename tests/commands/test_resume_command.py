"""Which run `make resume`, and the same target again, would continue."""

from __future__ import annotations

import json

import pytest

from wotempo.commands.resume import choose
from wotempo.errors import UserError
from wotempo.navsim.lock import locked
from wotempo.runs.metrics_file import MetricsFile, keep_rows
from wotempo.runs.unfinished import LOCK, claim_run_dir, unfinished_runs


def run_folder(root, name, status="incomplete", written="2026-01-01T00:00:00", signature="abc"):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("name: run\n")
    facts = {"signature": signature}
    verdict = {"status": status, "written": written, "reason": "killed", "facts": facts}
    (folder / "verdict.json").write_text(json.dumps(verdict))
    return folder


def test_the_latest_unfinished_run_that_nobody_holds(tmp_path):
    old = run_folder(tmp_path, "a/old")
    new = run_folder(tmp_path, "b/new", status="crashed", written="2026-01-02T00:00:00", signature="def")
    run_folder(tmp_path, "b/done", status="accepted", written="2026-01-03T00:00:00")
    assert choose(tmp_path) == new
    assert unfinished_runs(tmp_path, "abc") == [old]
    with locked(new / LOCK, "it"):
        assert choose(tmp_path) == old
        with pytest.raises(UserError, match="another process"):
            choose(new)


def test_nothing_to_continue_is_said(tmp_path):
    done = run_folder(tmp_path, "done", status="rejected")
    with pytest.raises(UserError, match="no unfinished run"):
        choose(tmp_path)
    with pytest.raises(UserError, match="is rejected"):
        choose(done)


def test_a_folder_is_continued_started_anew_or_refused(tmp_path, capsys):
    folder = run_folder(tmp_path, "run")
    with pytest.raises(UserError, match="another configuration"):
        claim_run_dir(folder, "def", reuse=False)
    claim = claim_run_dir(folder, "abc", reuse=False)
    assert (claim.checkpoint, claim.resumed) == (None, [{"step": 0, "reason": "killed"}])
    assert "starts again" in capsys.readouterr().out
    claim_run_dir(folder, "abc", reuse=False, fresh=True)
    assert list(folder.iterdir()) == []


def test_metrics_go_on_without_doubled_or_torn_rows(tmp_path):
    first = MetricsFile(tmp_path)
    for step in range(5):
        first.log_metrics({"loss": 5.0 - step}, step)
    path = tmp_path / "metrics" / "metrics.csv"
    path.write_bytes(path.read_bytes() + b"0.1")
    second = MetricsFile(tmp_path, resume_step=3)
    second.log_metrics({"loss": 2.5}, 3)
    second.log_metrics({"loss": 1.5, "val": 9.0}, 4)
    lines = path.read_text().split()
    assert lines == ["loss,step,val", "5.0,0,", "4.0,1,", "3.0,2,", "2.5,3,", "1.5,4,9.0"]
    assert keep_rows(path, 0) == []
    assert not path.exists()


def test_the_row_of_the_checkpoint_is_added_where_it_is_missing(tmp_path):
    first = MetricsFile(tmp_path)
    first.log_metrics({"loss": 5.0, "epoch": 0}, 0)
    second = MetricsFile(tmp_path, resume_step=2)
    for _ in range(2):
        second.add_missing(1, {"loss": 4.0, "epoch": 0})
    second.log_metrics({"loss": 3.0, "epoch": 0}, 2)
    lines = (tmp_path / "metrics" / "metrics.csv").read_text().split()
    assert lines == ["epoch,loss,step", "0,5.0,0", "0,4.0,1", "0,3.0,2"]


def test_a_first_row_can_be_the_missing_one(tmp_path):
    MetricsFile(tmp_path, resume_step=1).add_missing(0, {"loss": 4.0})
    assert (tmp_path / "metrics" / "metrics.csv").read_text().split() == ["loss,step", "4.0,0"]
