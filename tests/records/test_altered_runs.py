"""A verdict that was changed, or whose evidence was, has no place; old ones are read as ever."""

from __future__ import annotations

import json
import os

import pytest

from wotempo.errors import UserError
from wotempo.records import evidence as room
from wotempo.records.evidence import CODE, changed_evidence, code_hash, described, ran_other_code
from wotempo.records.reading import ALTERED, read_verdict
from wotempo.records.seal import SEAL, alteration, seal_of
from wotempo.runs.unfinished import claim_run_dir, unfinished_runs


@pytest.fixture
def run(tmp_path):
    """A finished, rejected run with a checkpoint and a label table."""
    folder, labels = tmp_path / "runs" / "one", tmp_path / "labels"
    (folder / "checkpoints").mkdir(parents=True)
    labels.mkdir()
    checkpoint, table = folder / "checkpoints" / "last.ckpt", labels / "flags.npy"
    checkpoint.write_bytes(b"weights")
    table.write_bytes(b"rows")
    (folder / "config.yaml").write_text("name: one\n")
    verdict = {
        "status": "rejected", "exit_code": 12, "reason": "loss: it does not fall", "written": "2026-01-01", "steps": 3,
        "facts": {"signature": "abc"},
        "criteria": [{"name": "loss", "status": "fail", "policy": "fail", "allow_inconclusive": False}],
        "evidence": {"files": {"checkpoints/last.ckpt": described(checkpoint)}, CODE: code_hash(),
                     "labels": {"folder": str(labels), "files": {"flags.npy": described(table)}}},
    }  # fmt: skip
    write(folder, verdict)
    return folder


def write(folder, verdict, seal=True):
    rest = {key: value for key, value in verdict.items() if key != SEAL}
    (folder / "verdict.json").write_text(json.dumps({**rest, **({SEAL: seal_of(rest)} if seal else {})}))


def held(folder):
    return json.loads((folder / "verdict.json").read_text())


def test_what_the_run_wrote_is_read_as_it_is(run):
    assert read_verdict(run)["status"] == "rejected"


def test_an_edited_verdict_is_altered(run):
    (run / "verdict.json").write_text((run / "verdict.json").read_text().replace("rejected", "accepted"))
    verdict = read_verdict(run)
    assert (verdict["status"], "seal does not fit" in verdict["reason"]) == (ALTERED, True)


def test_a_seal_that_was_taken_off_is_missed(run):
    write(run, held(run), seal=False)
    assert "its seal is gone" in read_verdict(run)["reason"]


def test_a_new_seal_does_not_hide_a_criterion_that_failed(run):
    write(run, {**held(run), "status": "accepted"})
    assert "says accepted, and that loss was not passed" in read_verdict(run)["reason"]


def test_verdicts_of_earlier_versions_are_read(run):
    old = {key: value for key, value in held(run).items() if key not in ("evidence", SEAL)}
    write(run, old, seal=False)
    assert read_verdict(run)["status"] == "rejected"
    write(run, {**old, "status": "accepted"}, seal=False)
    assert read_verdict(run)["status"] == ALTERED


def test_a_replaced_checkpoint_is_seen_and_a_copied_one_is_not(run):
    file = run / "checkpoints" / "last.ckpt"
    os.utime(file, ns=(1, 1))  # copied: another time, the same content
    assert read_verdict(run)["status"] == "rejected"
    file.write_bytes(b"WEIGHTS")
    assert "last.ckpt is not the file that was judged" in read_verdict(run)["reason"]
    file.unlink()  # large files are removed
    assert read_verdict(run)["status"] == "rejected"


def test_another_label_table_is_seen(run, tmp_path):
    (tmp_path / "labels" / "flags.npy").write_bytes(b"rowz")
    assert "is not the one that the run was trained on" in changed_evidence(run, held(run))


def test_an_altered_run_is_neither_continued_nor_taken_for_done(run):
    (run / "verdict.json").write_text((run / "verdict.json").read_text().replace("rejected", "accepted"))
    assert unfinished_runs(run.parent) == []
    with pytest.raises(UserError, match="seal does not fit"):
        claim_run_dir(run, "abc", reuse=True)


def test_other_code_is_told_and_refused_only_if_asked(run, monkeypatch, capsys):
    assert not ran_other_code(held(run))
    assert claim_run_dir(run, "abc", reuse="strict").finished is not None
    monkeypatch.setattr(room, "code_hash", lambda: {"src/wotempo": "other", "callbacks": "other"})
    assert claim_run_dir(run, "abc", reuse=True).finished is not None
    assert "ran with other code than is here" in capsys.readouterr().out
    with pytest.raises(UserError, match="reuse=true takes it"):
        claim_run_dir(run, "abc", reuse="strict")
    assert read_verdict(run)["status"] == "rejected"


def test_pending_criteria_count_as_not_passed():
    criterion = {"name": "plan", "status": "inconclusive", "policy": "fail", "allow_inconclusive": True}
    assert alteration({"status": "accepted", "criteria": [criterion]}) == ""
    assert "plan" in alteration({"status": "accepted", "criteria": [{**criterion, "allow_inconclusive": False}]})
