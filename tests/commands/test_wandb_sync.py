"""Uploading offline runs: wandb's own client talks to a stand-in of the service on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import offline_run
import pytest
from offline_run import begin, criterion, end, verdict
from wandb_service import ENTITY, KEY, Service, service

from wotempo.commands.wandb_sync import main
from wotempo.errors import UserError
from wotempo.navsim.lock import locked
from wotempo.runs.unfinished import LOCK
from wotempo.tracking.wandb_file import BLOCK, MAGIC, PART, payloads, records

pytestmark = pytest.mark.usefixtures("no_key")


@pytest.fixture(scope="module")
def templates(tmp_path_factory) -> Path:
    """``whole``: rejected; ``killed``: by SIGKILL while it logged. Both as the training command tracks them."""
    import wandb

    root = tmp_path_factory.mktemp("templates")
    config, loggers = begin(root / "whole", "tracking.artifacts=[verdict,checkpoint]")
    end(root / "whole", config, loggers, verdict("rejected", criterion("loss", "fail", 0.001, 0.01)))
    wandb.teardown()
    command = [sys.executable, offline_run.__file__, str(root / "killed")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr[-2000:]
    return root


@pytest.fixture
def runs(templates, tmp_path) -> Path:
    shutil.copytree(templates, tmp_path / "runs", symlinks=True)
    return tmp_path / "runs"


@pytest.fixture
def server(monkeypatch):
    with service() as running:
        monkeypatch.setenv("WANDB_BASE_URL", running.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_MODE", "offline")  # as clusters have it; uploading is meant all the same
        yield running


def id_of(run: Path) -> str:
    (file,) = run.glob("wandb/offline-run-*/run-*.wandb")
    return file.stem.removeprefix("run-")


def ends(server: Service, run: Path) -> list[int]:
    return [body["exitcode"] for body in server.streams.get(id_of(run), []) if body.get("complete")]


def test_what_would_be_uploaded_needs_no_key(runs, capsys):
    for argument in ("dry_run=true", "--dry-run"):
        assert main([argument], root=runs) == 0
        whole, killed = sorted(line for line in capsys.readouterr().out.splitlines() if "would" in line)[::-1]
        assert whole.endswith(": train, rejected, exit code 12 → wotempo")
        assert f"train, incomplete, without an end: was killed; make resume RUN={runs / 'killed'} → wotempo" in killed
    assert not list(runs.rglob("*.synced"))


def test_without_a_key(runs, capsys):
    assert main([str(runs)]) == 2
    assert "error: uploading to wandb needs a key: run 'wandb login'" in capsys.readouterr().err


def test_upload(runs, server, capfd):
    assert main([str(runs), "entity=lab", "project=elsewhere"]) == 0
    printed = capfd.readouterr().out
    assert "→ elsewhere" in printed
    assert "2 of 2 uploaded" in printed
    begun = {asked["name"]: asked for asked in server.of("UpsertBucket")[::-1]}
    whole = begun[id_of(runs / "whole")]
    assert (whole["groupName"], whole["jobType"], whole["project"]) == ("0123abcd", "train", "elsewhere")
    assert "variant=convgru" in whole["tags"]
    (alert,) = server.of("NotifyScriptableRunAlert")
    assert (alert["severity"], alert["entityName"]) == ("ERROR", ENTITY)
    assert ends(server, runs / "whole") == [12]
    assert ends(server, runs / "killed") == [1], "crashed"
    assert server.uploads["last.ckpt"] == b"the weights called last"
    assert json.loads(server.uploads["verdict.json"])["status"] == "rejected"
    aliases = {alias["alias"] for asked in server.of("CreateArtifact") for alias in asked["input"]["aliases"]}
    assert {"best", "last", "failed"} <= aliases

    before = len(server.asked)
    assert main([str(runs)]) == 0
    assert capfd.readouterr().out.count("uploaded before") == 2
    assert len(server.asked) == before


def test_what_the_service_refuses_is_named_and_not_marked(runs, server, capfd):
    server.refuses.add("UpsertBucket")
    assert main([str(runs / "whole")]) == 1
    told = capfd.readouterr()
    assert "UpsertBucket is refused" in told.out
    assert f"not uploaded: {runs / 'whole'}" in told.err
    server.refuses.clear()
    assert main([str(runs / "whole")]) == 0


def test_a_run_that_is_going_on_is_left_alone(runs, capsys):
    with locked(runs / "killed" / LOCK, "that run"):
        assert main([str(runs / "killed"), "dry_run=true"]) == 0
    assert "a process is running it" in capsys.readouterr().out


def test_attempts_before_the_latest(runs, capsys):
    (file,) = (runs / "killed").glob("wandb/offline-run-*")
    shutil.copytree(file, file.with_name("offline-run-19990101_000000-earlier"))
    assert main([str(runs / "killed"), "dry_run=true"]) == 0
    first, second, _ = capsys.readouterr().out.splitlines()
    assert "a later attempt went on" in first
    assert "make resume" in second


def test_killed_before_anything_was_written(runs, capsys):
    (file,) = (runs / "killed").glob("wandb/offline-run-*/run-*.wandb")
    os.truncate(file, len(MAGIC))
    assert main([str(runs / "killed")]) == 0
    assert "before wandb wrote anything" in capsys.readouterr().out


def test_what_cannot_be_uploaded(tmp_path, capsys):
    for arguments, why in (
        (["projekt=a"], "did you mean 'project'"),
        (["dry_run=maybe"], "set it to true or false"),
        ([str(tmp_path / "no")], "there is no folder"),
        ([str(tmp_path)], "there is no offline run"),
    ):
        assert main(arguments) == 2
        assert why in capsys.readouterr().err


def test_a_file_that_is_cut_off_is_read_up_to_there(runs, tmp_path):
    (file,) = (runs / "whole").glob("wandb/offline-run-*/run-*.wandb")
    data = file.read_bytes()
    whole = list(payloads(data))
    assert len(data) < BLOCK
    for length in range(len(MAGIC), len(data), 97):
        part = list(payloads(data[:length]))
        assert part == whole[: len(part)]
        assert len(MAGIC) + sum(len(payload) + PART.size for payload in part) <= length
    (killed,) = (runs / "killed").glob("wandb/offline-run-*/run-*.wandb")
    assert killed.stat().st_size >= BLOCK
    kinds = [record.WhichOneof("record_type") for record in records(killed)]
    assert kinds.count("history") > 10, "records across blocks"
    assert "exit" not in kinds
    (tmp_path / "other.wandb").write_bytes(b"something else")
    with pytest.raises(UserError, match="no file of a wandb run"):
        records(tmp_path / "other.wandb")
