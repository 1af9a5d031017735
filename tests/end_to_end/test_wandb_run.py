"""Real runs in wandb: what their offline files say, and that the dashboard names nothing that no run logs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from offline_run import read_back
from small_run import SMALL
from test_faults import nan_in_a_layer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
TRACKED = ("tracking=default", "tracking.pictures=1")


@pytest.fixture(scope="module")
def whole(workspace, tmp_path_factory) -> Path:
    """A run that passes every criterion, with a budget, and is scored on the test split."""
    from hydra import compose

    from wotempo.config.composition import loaded
    from wotempo.experiment.run import work

    folder, threads = tmp_path_factory.mktemp("tracked") / "run", torch.get_num_threads()
    given = [f"run_dir={folder}", f"workspace={workspace}", "experiment=convgru_1epoch", *SMALL, *TRACKED, "test=true"]
    with loaded():
        config = compose("train", overrides=[*given, "acceptance.budget.budget_hours=5", "variant=convgru"])
    assert work(config) == 0
    torch.set_num_threads(threads)
    return folder


@pytest.fixture(scope="module")
def told(whole):
    return read_back(whole)


def test_an_accepted_run(told, whole):
    assert (told.exit_code, told.run.job_type, told.alerts) == (0, "train", [])
    assert told.run.run_group == told.config["facts"]["signature"]
    assert (told.first_verdict, told.summary["verdict"]) == ("incomplete", "accepted")
    assert told.summary["criteria/warp_gain/measured"] > told.summary["criteria/warp_gain/limit"] == 0.02
    assert 0 <= told.summary["test/pdms"] <= 1
    assert told.summary["test/scenes"] > 0
    assert told.summary["cost/peak_memory_gb"] > 0
    assert "the map changes" in told.summary["history_evidence"]
    for media in ("scenes", "history_warp"):
        (name,) = told.summary[f"{media}.filenames"]
        assert len(list(whole.glob(f"wandb/offline-run-*/files/{name}"))) == 1
    assert {artifact.type for artifact in told.artifacts} == {"verdict", "report", "model"}
    (report,) = whole.glob("wandb/offline-run-*/artifacts/report.html")
    assert "Share of the gradient" in report.read_text()


def test_every_panel_names_what_a_run_logs(told):
    from wotempo.tracking.dashboard_panels import TWINS, VIEWS

    logged = {name.removesuffix("._type") for name in told.logged} | set(told.summary)
    assert told.summary["criteria/history_pays/status"] == "skipped", "twins are in another town"
    logged |= {"acceptance/history_pays", *(name for panel in TWINS for name in panel.names)}  # test_twins_judged
    for view in VIEWS:
        for panel in (panel for panels in view.sections.values() for panel in panels):
            for name in panel.names:
                found = [key for key in logged if re.fullmatch(name, key)] if panel.regex else logged & {name}
                assert found, f"{view.title}: panel '{panel.title}' shows {name}, which no run logs"
        for column in view.columns:
            kind, name = column.split(":", 1)
            assert name in (told.config if kind == "config" else told.summary), f"{view.title}: column {column}"
    assert "trainer/global_step" in told.logged


def test_a_failed_run(train, monkeypatch):
    nan_in_a_layer(monkeypatch)
    code, verdict = train("experiment=convgru_1epoch", *TRACKED)
    told = read_back(verdict["run_dir"])
    assert told.exit_code == code == 10
    assert told.summary["verdict"] == "rejected"
    assert told.summary["criteria/finite/status"] == "fail"
    (alert,) = told.alerts
    assert (alert.level, "finite failed" in alert.title) == ("ERROR", True)
    assert {tuple(sorted(set(a.aliases) - {"latest"})) for a in told.artifacts if a.type != "model"} == {("failed",)}


def test_a_run_that_cannot_be_scored_ends_as_failed(train, monkeypatch):
    import wotempo.experiment.run as command

    def fails(*_):
        raise RuntimeError("no disk")

    monkeypatch.setattr("wotempo.evaluation.scored.score_run", fails)
    folders, original = [], command.build_loggers

    def begun(config, folder, *rest):
        folders.append(folder)
        return original(config, folder, *rest)

    monkeypatch.setattr(command, "build_loggers", begun)
    with pytest.raises(RuntimeError, match="no disk"):
        train("experiment=convgru_1epoch", "profile=smoke", "trainer.max_epochs=1", "test=true", *TRACKED)
    told = read_back(folders[0])
    assert (told.exit_code, told.summary["verdict"]) == (1, "accepted"), "judged, and then it crashed"
