"""Which run `make resume`, and the same target again, would continue."""

from __future__ import annotations

import json

import pytest

from wotempo.commands.resume import choose
from wotempo.errors import UserError
from wotempo.navsim.lock import locked
from wotempo.runs.unfinished import LOCK, claim_run_dir, unfinished_runs


def run_folder(root, name, status="incomplete", written="2026-01-01T00:00:00", signature="abc"):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("name: run\n")
    facts = {"signature": signature, "command": "wotempo train seed=3"}
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
    assert (claim.checkpoint, claim.resumed) == (
        None,
        [{"step": 0, "reason": "killed", "command": "wotempo train seed=3"}],
    )
    assert claim.command == "wotempo train seed=3"
    assert "starts again" in capsys.readouterr().out
    claim_run_dir(folder, "abc", reuse=False, fresh=True)
    assert list(folder.iterdir()) == []
