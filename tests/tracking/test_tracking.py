"""What wandb is told of a run, read back from the file that an offline run leaves."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from defaults import run_config, tracking
from offline_run import begin, criterion, end, read_back, verdict
from wandb_service import KEY, service

from wotempo.config.checks import check_tracking
from wotempo.errors import UserError
from wotempo.report.ablation import METRICS
from wotempo.tracking.evaluation import track_evaluation
from wotempo.tracking.loggers import abandon_wandb, build_loggers
from wotempo.tracking.service import unreachable
from wotempo.tracking.summary import alerts_of, number, summary_of
from wotempo.tracking.tags import job_type_of, tags_of, variant_of
from wotempo.tracking.wandb_attempts import attempts

pytestmark = pytest.mark.usefixtures("no_key")


def scores(folder) -> None:
    rows = {"token": ["a", "b"], "log": ["l", "l"], "valid": [True, False]}
    rows |= {metric: [0.5, 0.0] for metric in METRICS}
    rows |= {f"future_{kind}_{k}": [1, 1] for kind in ("both", "any") for k in range(8)} | {"ade": [1.0, np.nan]}
    pd.DataFrame(rows).to_parquet(folder / "test.parquet")


def test_a_rejected_run(tmp_path):
    config, loggers = begin(tmp_path, "tracking.tags=[mine]", "variant=convgru")
    scores(tmp_path)
    loss = criterion("loss", "fail", 0.001, 0.01)
    loader = criterion("loader", "fail", 0.7, 0.5, policy="warn")
    finite = criterion("finite", "inconclusive", "nan", 0)
    end(tmp_path, config, loggers, verdict("rejected", loss, loader, finite))
    told = read_back(tmp_path)

    assert (told.run.project, told.run.run_group, told.run.job_type) == ("wotempo", "0123abcd", "train")
    assert set(told.run.tags) == {"town", "convgru", "fixed", "variant=convgru", "seed=1", "mine"}
    assert told.run.notes == "town data: these are not NAVSIM numbers"
    assert told.config["variant"] == "convgru"
    assert told.config["facts"]["signature"] == "0123abcd"
    assert told.first_verdict == "incomplete", "before it is judged, as verdict.json does"
    assert told.exit_code == 12
    expected = {"verdict": "rejected", "reason": "as it ended", "criteria/loss/status": "fail",
                "criteria/loss/measured": 0.001, "criteria/loss/limit": 0.01, "test/pdms": 0.25, "test/ade": 1.0,
                "test/failed": 1, "test/future_miou": 1.0, "cost/seconds_per_step": 0.5, "cost/criteria_share": 0.01,
                "history_evidence": "without it the map changes"}  # fmt: skip
    assert {name: told.summary.get(name) for name in expected} == expected
    assert {alert.title.split(": ")[1]: alert.level for alert in told.alerts} == {
        "loss failed": "ERROR",
        "loader warns": "WARN",
    }
    assert "measured 0.001, must be ≥ 0.01 units" in told.alerts[0].text

    found = {(a.type, tuple(c.path for c in a.manifest.contents)): set(a.aliases) - {"latest"} for a in told.artifacts}
    assert found == {
        ("verdict", ("verdict.json", "verdict.md")): {"failed"},
        ("report", ("report.html",)): {"failed"},
        ("model", ("best.ckpt",)): {"best"},
        ("model", ("last.ckpt",)): {"last", "failed"},
    }
    assert {a.name for a in told.artifacts} == {f"{kind}-0123abcd" for kind in ("verdict", "report", "model")}
    contents = [content for artifact in told.artifacts for content in artifact.manifest.contents]
    assert all(content.local_path.startswith(str(tmp_path)) for content in contents if content.local_path)
    references = [content.ref for content in contents if content.ref]
    assert references == [(tmp_path / "checkpoints" / f"{name}.ckpt").as_uri() for name in ("best", "last")]
    assert json.loads(told.artifacts[0].metadata)["status"] == "rejected"


def test_an_accepted_run_may_upload_its_checkpoints(tmp_path):
    config, loggers = begin(tmp_path, "tracking.artifacts=[checkpoint]")
    end(tmp_path, config, loggers, verdict())
    told = read_back(tmp_path)
    assert (told.exit_code, told.summary["verdict"], told.alerts) == (0, "accepted", [])
    last = told.artifacts[-1]
    assert set(last.aliases) == {"last", "accepted", "latest"}
    (content,) = last.manifest.contents
    assert content.local_path == str(tmp_path / "checkpoints" / "last.ckpt"), "not a copy of it"


def test_an_unfinished_run_registers_no_checkpoint(tmp_path):
    config, loggers = begin(tmp_path)
    end(tmp_path, config, loggers, verdict("incomplete"))
    told = read_back(tmp_path)
    assert told.exit_code == 143
    assert told.alerts == []
    assert {a.type: set(a.aliases) - {"latest"} for a in told.artifacts} == {
        "verdict": {"incomplete"},
        "report": {"incomplete"},
    }


def test_a_run_that_nobody_closed_ends_as_failed(tmp_path):
    import wandb

    begin(tmp_path)
    abandon_wandb(2)
    assert wandb.run is None
    told = read_back(tmp_path)
    assert (told.exit_code, told.summary["verdict"]) == (2, "incomplete")


def test_an_evaluation_stands_in_the_group_of_its_run(tmp_path):
    run, here = tmp_path / "run", tmp_path / "evaluation"
    (run / "checkpoints").mkdir(parents=True)
    (run / "verdict.json").write_text(json.dumps(verdict("rejected")))
    here.mkdir()
    drivers = {"model": {"score": 0.8, "score_low": 0.7, "ego_progress": 0.6, "ade": 1.5}, "human": {"score": 0.9}}
    content = {"note": "town data", "metric": "pdms", "stage": "test", "data": "town", "drivers": drivers,
               "checkpoint": str(run / "checkpoints" / "last.ckpt"), "history": {"output_change": 0.1}}  # fmt: skip
    track_evaluation(tracking(), here, content)
    told = read_back(here)
    assert (told.run.run_group, told.run.job_type, told.exit_code) == ("0123abcd", "evaluate", 0)
    assert told.config["of"]["verdict"] == "rejected"
    expected = {"test/pdms": 0.8, "test/ep": 0.6, "test/ade": 1.5, "evaluate/human/score": 0.9,
                "evaluate/model/score_low": 0.7, "history/output_change": 0.1}  # fmt: skip
    assert {name: told.summary.get(name) for name in expected} == expected
    track_evaluation(tracking(wandb="off"), tmp_path / "nowhere", content)
    assert not (tmp_path / "nowhere").exists()


def test_labels_of_a_continued_job_of_a_sweep(tmp_path):
    config = run_config("fusion=convgru", "fusion.control=no_warp", "seed=2")
    assert (job_type_of(tmp_path), variant_of(config, tmp_path)) == ("train", "convgru no_warp")
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "hydra.yaml").write_text(
        "hydra: {mode: MULTIRUN, runtime: {choices: {variant: repeat_current}}}"
    )
    assert (job_type_of(tmp_path), variant_of(config, tmp_path)) == ("ablation", "repeat_current")
    assert {"variant=repeat_current", "seed=2"} <= set(tags_of(config, tmp_path))


def test_numbers_and_what_is_none():
    assert [number(given) for given in (1, 0.5, "inf")] == [1, 0.5, float("inf")]
    assert [number(given) for given in (True, None, "text", [1])] == [None] * 4
    told = summary_of(verdict("accepted", criterion("shapes", "skipped", None, None)), {})
    assert told["criteria/shapes/status"] == "skipped"
    assert "criteria/shapes/measured" not in told
    assert np.isnan(summary_of(verdict("rejected", criterion("loss", "fail", "nan", 1)), {})["criteria/loss/measured"])


def test_a_crash_is_one_alert_and_what_was_not_judged_is_none():
    crashed = verdict("crashed", criterion("loss", "inconclusive", None, 0.01))
    assert [(alert.level, alert.title.split(": ")[1]) for alert in alerts_of(crashed)] == [("ERROR", "crashed")]
    assert alerts_of(verdict("incomplete", criterion("loss", "inconclusive", None, 0.01))) == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"wandb": "offlin"}, "set it to offline"),
        ({"artifacts": ["checkpoints"]}, "did you mean 'checkpoint'"),
        ({"artifacts": ["checkpoint", "checkpoint_reference"]}, "leave one of them out"),
    ],
)
def test_wrong_options_are_said_before_anything_is_loaded(options, why):
    with pytest.raises(UserError, match=why):
        check_tracking(tracking(**options))


def test_online_without_a_key(tmp_path):
    config = replace(run_config("fusion=none"), tracking=tracking(csv=False, wandb="online"))
    with pytest.raises(UserError, match=r"needs a key.*tracking.wandb=offline"):
        build_loggers(config, tmp_path, {"signature": "x", "note": ""})


def test_online_without_a_network_it_goes_on_offline_and_says_so(tmp_path, monkeypatch, capsys):
    """The case wandb_service_down of the field: nothing listens at that address."""
    import wandb

    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    config = replace(run_config("fusion=none"), tracking=tracking(csv=False, wandb="online"))
    facts = {"signature": "x", "note": ""}
    loggers = build_loggers(config, tmp_path, facts)
    for logger in loggers:
        logger.experiment.finish()
    wandb.teardown()
    told = capsys.readouterr().out
    assert "does not answer" in told
    assert "it goes on offline, make wandb-sync uploads it" in told
    assert facts["wandb"] == "offline, since the service did not answer"
    assert [attempt.skipped for attempt in attempts(tmp_path)] == [""], "to be uploaded later"


def test_a_service_that_refuses_the_key_is_one_sentence(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with service() as server:
        assert unreachable(server.url) is None
        monkeypatch.setattr(server, "answer", lambda *_: {"data": {"viewer": None}})
        with pytest.raises(UserError, match=r"refuses the key: run 'wandb login'.*tracking\.wandb=offline"):
            unreachable(server.url)
        monkeypatch.delenv("WANDB_API_KEY")
        assert unreachable(server.url) is None, "another kind of login is not judged by the missing key"


def test_online_the_service_hears_of_the_failure(tmp_path, monkeypatch):
    import wandb

    with service() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        wandb.teardown()
        config, loggers = begin(tmp_path, "tracking.wandb=online", "tracking.artifacts=[verdict]")
        end(tmp_path, config, loggers, verdict("rejected", criterion("loss", "fail", 0.001, 0.01)))
        wandb.teardown()
        (stream,) = server.streams.values()
        assert [body["exitcode"] for body in stream if body.get("complete")] == [12]
        assert server.of("NotifyScriptableRunAlert")[0]["severity"] == "ERROR"
        assert json.loads(server.uploads["verdict.json"])["status"] == "rejected"
        assert json.loads(server.uploads["wandb-summary.json"])["verdict"] == "rejected"
