"""wandb that goes away after its start costs a run nothing but what it would show there."""

from __future__ import annotations

import json
import time

import pytest
from offline_run import begin, criterion, end, read_back, verdict
from wandb_service import KEY, service

from wotempo.commands import wandb_sync
from wotempo.tracking import options, spared
from wotempo.tracking.loggers import abandon_wandb
from wotempo.tracking.wandb_attempts import attempts


def gone(*_, **__):
    raise ConnectionResetError(104, "Connection reset by peer")


@pytest.mark.parametrize("what", ["log", "alert", "log_artifact"])
def test_what_wandb_raises_is_said_once_and_the_run_ends_as_it_does(tmp_path, monkeypatch, capsys, what):
    config, loggers = begin(tmp_path)
    monkeypatch.setattr(loggers[0].experiment, what, gone)
    for step in range(3):
        loggers[0].log_metrics({"train/loss": 1.0}, step)
    end(tmp_path, config, loggers, verdict("rejected", criterion("loss", "fail", 0.001, 0.01)))
    told = capsys.readouterr().out
    assert told.count("wandb was lost (ConnectionResetError: [Errno 104] Connection reset by peer)") == 1
    assert read_back(tmp_path).exit_code == 12


def test_a_process_of_wandb_that_is_gone(tmp_path, capsys):
    import wandb

    config, loggers = begin(tmp_path)
    wandb.teardown()  # its service ends, as when the system kills it
    loggers[0].log_metrics({"train/loss": 1.0}, 1)
    end(tmp_path, config, loggers, verdict())
    assert wandb.run is None
    assert "wandb was lost" in capsys.readouterr().out


def test_a_run_that_nobody_could_end_is_none_of_the_next_job(tmp_path, monkeypatch, capsys):
    import wandb

    _, loggers = begin(tmp_path)
    run = loggers[0].experiment
    monkeypatch.setattr(run, "finish", gone)
    abandon_wandb(1)
    assert wandb.run is None
    assert "wandb's run could not be ended" in capsys.readouterr().out
    monkeypatch.undo()
    run.finish()


def test_a_service_that_goes_away_while_a_run_is_online(tmp_path, monkeypatch, capsys):
    import wandb

    for module in (options, spared):
        monkeypatch.setattr(module, "FINISH_S", 1.0)
    with service() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        wandb.teardown()
        config, loggers = begin(tmp_path, "tracking.wandb=online", "tracking.artifacts=[]")
    begun = time.monotonic()
    for step in range(3):
        loggers[0].log_metrics({"train/loss": 1.0}, step)
    end(tmp_path, config, loggers, verdict())
    assert time.monotonic() - begun < 60
    assert "make wandb-sync uploads it" in capsys.readouterr().out
    wandb.teardown()
    (attempt,) = attempts(tmp_path)
    assert (attempt.skipped, attempt.status, attempt.exit_code) == ("", "accepted", 0)
    with service() as server:  # it is there again
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        assert wandb_sync.main([str(tmp_path)]) == 0
        assert json.loads(server.uploads["wandb-summary.json"])["verdict"] == "accepted"
    assert [attempt.skipped for attempt in attempts(tmp_path)] == ["uploaded before"]
