"""Which run `make resume`, and the same target again, would continue."""

from __future__ import annotations

import json

import pytest
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from wotempo.commands.resume import changes_of, choose, prepared
from wotempo.config.composition import loaded
from wotempo.config.schema import typed
from wotempo.errors import UserError
from wotempo.experiment.run import RUN_DIR, require_one_folder, run_folder
from wotempo.navsim.lock import locked
from wotempo.runs.provenance import signature
from wotempo.runs.unfinished import LOCK, claim_run_dir, unfinished_runs


def unfinished(root, name, status="incomplete", written="2026-01-01T00:00:00", signature="abc"):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("name: run\n")
    facts = {"signature": signature, "command": "wotempo train seed=3"}
    verdict = {"status": status, "written": written, "reason": "killed", "facts": facts}
    (folder / "verdict.json").write_text(json.dumps(verdict))
    return folder


def test_the_latest_unfinished_run_that_nobody_holds(tmp_path):
    old = unfinished(tmp_path, "a/old")
    new = unfinished(tmp_path, "b/new", status="crashed", written="2026-01-02T00:00:00", signature="def")
    unfinished(tmp_path, "b/done", status="accepted", written="2026-01-03T00:00:00")
    assert choose(tmp_path) == new
    assert unfinished_runs(tmp_path, "abc") == [old]
    with locked(new / LOCK, "it"):
        assert choose(tmp_path) == old
        with pytest.raises(UserError, match="another process"):
            choose(new)


def test_nothing_to_continue_is_said(tmp_path):
    done = unfinished(tmp_path, "done", status="rejected")
    with pytest.raises(UserError, match="no unfinished run"):
        choose(tmp_path)
    with pytest.raises(UserError, match="is rejected"):
        choose(done)


def test_a_folder_is_continued_started_anew_or_refused(tmp_path, capsys):
    folder = unfinished(tmp_path, "run")
    with pytest.raises(UserError, match="another configuration"):
        claim_run_dir(folder, "def", reuse=False)
    claim = claim_run_dir(folder, "abc", reuse=False)
    assert (claim.checkpoint, claim.resumed) == (
        None,
        [{"step": 0, "reason": "killed", "command": "wotempo train seed=3"}],
    )
    assert claim.command == "wotempo train seed=3"
    assert "starts again" in capsys.readouterr().out
    before = list(folder.iterdir())
    assert claim_run_dir(folder, "abc", reuse=False, holds=False).resumed == claim.resumed
    assert not claim_run_dir(folder, "abc", reuse=False, fresh=True, holds=False).resumed
    assert list(folder.iterdir()) == before, "a further rank changes nothing"
    assert capsys.readouterr().out == ""
    claim_run_dir(folder, "abc", reuse=False, fresh=True)
    assert list(folder.iterdir()) == []


def asked_for(folder, *overrides, words=()):
    """The configuration of a command line whose output folder Hydra made. ``words``: what of it is for Hydra."""
    folder.mkdir(parents=True)
    with loaded():
        composed = compose("train", overrides=["run_dir=unset", *overrides], return_hydra_config=True)
    with open_dict(composed):
        composed.hydra.runtime.output_dir, composed.hydra.overrides.hydra = str(folder), list(words)
    HydraConfig.instance().set_config(composed)
    with open_dict(composed):
        del composed["hydra"]
    OmegaConf.update(composed, "run_dir", str(folder))
    return typed(composed)


@pytest.fixture
def no_hydra_left():
    yield
    HydraConfig.instance().cfg = None


NOW = "2026-02-01_00-00-00"


def test_an_unfinished_sibling_goes_on_only_where_no_folder_was_named(tmp_path, capsys, no_hydra_left):
    config = asked_for(tmp_path / "a" / NOW)
    sibling = run_folder_of(tmp_path / "a", "old", config)
    assert run_folder(config) == sibling
    assert not (tmp_path / "a" / NOW).exists()
    assert f"{sibling} goes on in place of a new folder" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "words", "overrides"),
    [
        ("mine", ["hydra.run.dir=mine"], ()),
        (NOW, [f"hydra.run.dir=runs/{NOW}"], ()),  # named, though as a time
        ("mine", [], ()),  # a configuration of its own says so
        (NOW, [], ("fresh=true",)),
        (NOW, [], ("seed=5",)),
    ],
)
def test_a_folder_that_was_named_is_obeyed(tmp_path, capsys, no_hydra_left, name, words, overrides):
    sibling = run_folder_of(tmp_path, "old", asked_for(tmp_path / "first"))
    config = asked_for(tmp_path / name, *overrides, words=words)
    assert run_folder(config) == tmp_path / name
    assert sibling.is_dir()
    assert not capsys.readouterr().out


def test_a_run_dir_that_was_named_is_obeyed(tmp_path, no_hydra_left):
    config = asked_for(tmp_path / NOW)
    run_folder_of(tmp_path, "old", config)
    config.run_dir = str(tmp_path / "given")
    assert run_folder(config) == tmp_path / "given"


def run_folder_of(root, name, config):
    return unfinished(root, name, signature=signature(config))


def test_keys_that_make_no_other_run_may_be_given_anew():
    words = ["trainer.max_epochs=5", "workspace='/a b'", "tracking.wandb=off", "reuse=strict", "data.labels=null"]
    changes = {"trainer.max_epochs": 5, "workspace": "/a b", "tracking.wandb": "off", "reuse": "strict"}
    assert changes_of(words) == {**changes, "data.labels": None}


@pytest.mark.parametrize("word", ["optimiser.lr=0.1", "seed=3", "trainer.max_steps=7", "fresh=true", "data.seed=1"])
def test_keys_that_make_another_run_are_refused(word):
    with pytest.raises(UserError, match=f"{word.split('=')[0]} makes it another run"):
        changes_of([word])


def finished(root, status="accepted", epochs=2, **overrides):
    folder = unfinished(root, "done", status=status)
    words = [f"{key}={value}" for key, value in {"trainer.max_epochs": 2, **overrides}.items()]
    with loaded():
        config = compose("train", overrides=["run_dir=unset", *words])
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(config, resolve=True))
    verdict = json.loads((folder / "verdict.json").read_text())
    (folder / "verdict.json").write_text(json.dumps({**verdict, "epochs": epochs, "steps": 20, "seconds": 1.0}))
    return folder


@pytest.mark.parametrize(
    ("run", "epochs", "says"),
    [
        ({}, 2, "has done 2 epochs: set trainer.max_epochs to more"),
        ({"epochs": 1, "status": "rejected"}, 5, "has done 1 of 2 epochs"),
        ({"trainer.max_steps": 20}, 5, "ends by trainer.max_steps"),
        ({}, 5, "holds no checkpoint"),
        ({"status": "incomplete"}, 5, "is incomplete: let it do its 2 epochs first"),
    ],
)
def test_a_run_that_cannot_be_extended_is_left_as_it_is(tmp_path, run, epochs, says):
    folder = finished(tmp_path, **run)
    before = (folder / "verdict.json").read_bytes()
    with pytest.raises(UserError, match=says):
        prepared(choose(folder, extends=True), {"trainer.max_epochs": epochs})
    assert (folder / "verdict.json").read_bytes() == before
    if run.get("status") != "incomplete":
        with pytest.raises(UserError, match=r"trainer\.max_epochs=<more> extends"):
            choose(folder)


def test_ranks_that_srun_starts_are_given_their_folder(tmp_path, monkeypatch, no_hydra_left):
    """Each would take the time at which it was started."""
    monkeypatch.delenv(RUN_DIR, raising=False)
    config = asked_for(tmp_path / NOW, "trainer.devices=2")
    require_one_folder(config)
    for name in ("WORLD_SIZE", "SLURM_NTASKS"):
        with monkeypatch.context() as rank:
            rank.setenv(name, "2")
            with pytest.raises(UserError, match=r"2 processes of srun or torchrun .* give run_dir=<folder>"):
                require_one_folder(config)
            rank.setenv(RUN_DIR, str(tmp_path))  # a process that Lightning started
            require_one_folder(config)
    monkeypatch.setenv("WORLD_SIZE", "2")
    require_one_folder(asked_for(tmp_path / "mine", "trainer.devices=2"))
