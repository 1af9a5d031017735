"""The dashboard as code: what it holds, and that the package's own client saves it to a stand-in of the service."""

from __future__ import annotations

import json

import pytest
from wandb_service import KEY, service

import callbacks
from callbacks import Guard
from wotempo.commands import wandb_dashboard
from wotempo.commands.wandb_dashboard import main
from wotempo.tracking.dashboard_panels import CRITERIA, VIEWS

pytestmark = [pytest.mark.usefixtures("no_key"), pytest.mark.filterwarnings("ignore:Pydantic V1 style")]


@pytest.fixture
def server(monkeypatch):
    import wandb

    with service() as running:
        monkeypatch.setenv("WANDB_BASE_URL", running.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        wandb.teardown()  # what an earlier test set up knows another address
        yield running
        wandb.teardown()


def panels_of(spec: dict) -> dict[str, dict]:
    sections = spec["section"]["panelBankConfig"]["sections"]
    return {panel["config"].get("chartTitle", ""): panel for section in sections for panel in section["panels"]}


def test_every_criterion_is_shown():
    guards = [kind for kind in vars(callbacks).values() if isinstance(kind, type) and issubclass(kind, Guard)]
    guards.remove(Guard)
    assert tuple(guard.name for guard in sorted(guards, key=lambda guard: guard.number)) == CRITERIA


def test_printed_without_a_key(capsys):
    assert main(["dry_run=true", "project=mine", "entity=lab"]) == 0
    runs, ablation = json.loads(capsys.readouterr().out)
    assert (runs["project"], runs["entity"], runs["name"]) == ("mine", "lab", "nw-wotemporuns-v")
    names = [section["name"] for section in runs["spec"]["section"]["panelBankConfig"]["sections"]]
    assert names == ["Acceptance", "Loss and rewards", "Temporal evidence", "Memory and throughput", "Scenes"]
    loss = panels_of(runs["spec"])["Loss"]
    assert loss["viewType"] == "Run History Line Plot"
    assert loss["config"]["xAxis"] == "trainer/global_step"
    assert loss["config"]["metrics"] == ["train/loss", "val/loss"]

    (table,) = ablation["spec"]["section"]["runSets"]
    assert [key["name"] for key in table["grouping"]] == ["facts.value.data", "variant.value"]
    rules = {rule["key"]["name"]: rule["value"] for rule in table["filters"]["filters"]}
    assert rules == {"verdict": "accepted", "jobType": "ablation"}
    assert table["sort"]["keys"][0]["key"]["name"] == "test/pdms"
    assert panels_of(ablation["spec"])["PDMS on the test split"]["config"]["metrics"] == ["test/pdms"]


def test_saved_twice_it_is_the_same_two_views(server, capsys):
    assert main([]) == 0
    assert main([]) == 0
    assert capsys.readouterr().out.count(f"{server.url}/lab/wotempo?nw=") == 2 * len(VIEWS)
    saved = server.of("UpsertView2")
    assert set(server.views) == {f"nw-{view.id}-v" for view in VIEWS}
    assert [asked.get("id") for asked in saved] == [None, None, "id of nw-wotemporuns-v", "id of nw-wotempoabla-v"]
    assert "Acceptance" in saved[0]["spec"]


def test_what_the_service_refuses_is_one_sentence(server, capsys):
    server.has_project = False
    assert main([]) == 2
    assert "wandb has no project lab/wotempo" in capsys.readouterr().err
    server.has_project = True
    server.refuses.add("UpsertView2")
    assert main([]) == 2
    assert "error: wandb refused: input: UpsertView2 is refused" in capsys.readouterr().err


def test_what_cannot_be_done(capsys, monkeypatch):
    wrong = (([], "needs a key"), (["projct=a"], "did you mean 'project'"), (["dry_run=x"], "true or false"))
    for arguments, why in wrong:
        assert main(arguments) == 2
        assert why in capsys.readouterr().err
    monkeypatch.setattr(wandb_dashboard, "find_spec", lambda name: None)
    assert main(["dry_run=true"]) == 2
    assert "pip install -e '.[dashboard]'" in capsys.readouterr().err
