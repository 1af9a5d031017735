"""What a run goes on as: differences between its folder and now are listed by name, and refused or told."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hydra import compose
from omegaconf import OmegaConf
from tiny_dataset import LOCATION, read_scenes, write_dataset

from callbacks.verdict.card import changed
from wotempo.config.composition import loaded
from wotempo.config.schema import typed
from wotempo.errors import UserError
from wotempo.maps.locations import map_path
from wotempo.navsim.dataset import NoImitation, write_no_imitation
from wotempo.runs import identity as room
from wotempo.runs import unfinished
from wotempo.runs.identity import (
    FILE,
    changes_since,
    criteria_of,
    different,
    identity_of,
    read_identity,
    write_identity,
)
from wotempo.runs.provenance import attempt
from wotempo.runs.settings import other_criteria, other_settings
from wotempo.runs.unfinished import Claim, check_continued, check_taken, claim_run_dir

ANCHORS = np.zeros((4, 8, 3), np.float32)
UNTAUGHT = NoImitation("town", frozenset({"a"}))


def config_of(*overrides):
    with loaded():
        return compose("train", overrides=["run_dir=unset", *overrides])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture
def prepared(made, tmp_path):
    """Two logs, a map, labels and anchors."""
    root = tmp_path / "data"
    shutil.copytree(made.root, root)
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "flags.npy").write_bytes(b"rows")
    paths = replace(made, root=root, maps=root / "maps")
    scenes = read_scenes(paths)
    return SimpleNamespace(paths=paths, scenes={"train": scenes[:8], "val": scenes[8:]}, anchors=ANCHORS, labels=labels)


@pytest.fixture
def config():
    return typed(config_of())


def again(prepared):
    """As a later attempt finds the files."""
    scenes = read_scenes(prepared.paths)
    return SimpleNamespace(**{**vars(prepared), "scenes": {"train": scenes[:8], "val": scenes[8:]}})


def change_log(paths):
    """One velocity of one box; the tokens stay."""
    file = paths.log_dir("trainval") / "gap.pkl"
    frames = pickle.loads(file.read_bytes())
    frames[3]["anns"]["gt_velocity_3d"][0, 0] += 1.0
    file.write_bytes(pickle.dumps(frames, protocol=pickle.DEFAULT_PROTOCOL))


def test_a_copy_of_everything_is_the_same(prepared, config, tmp_path):
    before = identity_of(config, prepared, {})
    there = tmp_path / "elsewhere" / "data"
    shutil.copytree(prepared.paths.root, there)
    for file in there.rglob("*"):
        os.utime(file, ns=(1, 1))
    moved = SimpleNamespace(**{**vars(prepared), "paths": replace(prepared.paths, root=there, maps=there / "maps")})
    assert different(before, identity_of(config, again(moved), before)) == {}


@pytest.mark.parametrize(
    ("spoil", "part", "name"),
    [
        (lambda p: change_log(p.paths), "data", "navsim_logs/trainval/gap.pkl"),
        (lambda p: map_path(p.paths.maps, LOCATION).write_bytes(b"other"), "data", f"maps/{LOCATION}"),
        (lambda p: p.scenes["val"].pop(), "data", "scenes of val"),
        (lambda p: p.scenes["train"].reverse(), "data", "scenes of train"),
        (lambda p: write_no_imitation(p.paths.root, UNTAUGHT), "data", "scenes not to be imitated"),
        (lambda p: (p.labels / "flags.npy").write_bytes(b"rowz"), "labels", "flags.npy"),
        (lambda p: (p.labels / "more.npy").write_bytes(b""), "labels", "more.npy"),
        (lambda p: setattr(p, "anchors", ANCHORS + 1), "anchors", "fingerprint"),
    ],
    ids=["log", "map", "scene less", "order", "untaught", "labels", "label file more", "anchors"],
)
def test_what_changed_is_named_and_refused(prepared, config, tmp_path, spoil, part, name):
    claim = Claim(resumed=[{"step": 3}], identity=identity_of(config, prepared, {}))
    spoil(prepared)
    ours = identity_of(config, prepared, claim.identity)
    assert different(claim.identity, ours) == {part: [name]}
    with pytest.raises(UserError, match=f"cannot go on, since it was begun the {part} .*{name}.* changed") as told:
        check_continued(tmp_path, claim, ours, [], strict=False)
    assert "\n" not in str(told.value)
    with pytest.raises(UserError, match=f"the {part} .*{name}.* changed"):
        check_taken(tmp_path, different(claim.identity, ours), [], strict=False)


def test_other_code_is_said_in_the_card_and_refused_if_asked(tmp_path, capsys, monkeypatch):
    theirs = {"code": {"src/wotempo/training/module.py": "a", "callbacks/x.py": "b"}, "libraries": {"torch": "2.1"}}
    ours = {"code": {"src/wotempo/training/module.py": "A", "callbacks/x.py": "b"}, "libraries": {"torch": "2.2"}}
    monkeypatch.setattr(unfinished, "git_state", lambda: {"commit": "2" * 40, "dirty": False})
    claim = Claim(resumed=[{"step": 3}], step=3, identity=theirs, commit="1" * 40)
    check_continued(tmp_path, claim, ours, [], strict=False)
    told = "other code: src/wotempo/training/module.py (commit 111111111, then 222222222)"
    assert claim.resumed[0]["changed"] == [told, "other libraries: torch"]
    assert f"goes on at step 3 with {told}; other libraries: torch" in capsys.readouterr().out
    assert changed({"resumed": claim.resumed}) == [f"from step 3 on it ran with {told}; other libraries: torch"]
    claim.resumed[0].pop("changed")
    with pytest.raises(UserError, match="would go on with other code"):
        check_continued(tmp_path, claim, ours, [], strict=True)
    assert "changed" not in claim.resumed[0]


def test_a_commit_that_changes_no_code_changes_nothing(tmp_path, capsys, monkeypatch):
    same = {"code": {"src/wotempo/training/module.py": "a"}}
    monkeypatch.setattr(unfinished, "git_state", lambda: {"commit": "2" * 40, "dirty": False})
    claim = Claim(resumed=[{"step": 3}], identity=same, commit="1" * 40)
    check_continued(tmp_path, claim, same, [], strict=True)
    assert claim.resumed == [{"step": 3}]
    assert not capsys.readouterr().out


def test_runs_from_before_are_known_by_their_commit_and_anchors(tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "git_state", lambda: {"commit": "2" * 40, "dirty": False})
    facts = {"signature": "abc", "command": "wotempo train", "git": {"commit": "1" * 40}, "anchors": "old"}
    verdict = {"status": "incomplete", "written": "2026-01-01", "reason": "killed", "facts": facts}
    (tmp_path / "verdict.json").write_text(json.dumps(verdict))
    claim = claim_run_dir(tmp_path, "abc", reuse=False)
    assert claim.resumed == [{"step": 0, "reason": "killed", "command": "wotempo train", "git": facts["git"]}]
    check_continued(tmp_path, claim, {"anchors": {"fingerprint": "old"}, "code": {}}, [], strict=False)
    assert claim.resumed[0]["changed"] == ["other code: commit 111111111, then 222222222"]
    with pytest.raises(UserError, match="the anchors"):
        check_continued(tmp_path, claim, {"anchors": {"fingerprint": "new"}}, [], strict=False)


def test_every_attempt_is_kept(tmp_path):
    """The first one's commit, host, time and command stay, however often a run is interrupted."""
    facts = {
        "signature": "abc",
        "git": {"commit": "1" * 40},
        "command": "first",
        "attempt": {**attempt(), "host": "one"},
    }
    for host in ("two", "three"):
        verdict = {"status": "incomplete", "written": f"2026-01-01 {host}", "reason": "killed", "facts": facts}
        (tmp_path / "verdict.json").write_text(json.dumps(verdict))
        facts = {**facts, "resumed": claim_run_dir(tmp_path, "abc", reuse=False).resumed}
        facts |= {"git": {"commit": host}, "attempt": {**attempt(), "host": host, "command": f"from {host}"}}
    first, second = facts["resumed"]
    assert (first["git"]["commit"], first["host"], first["ended"]) == ("1" * 40, "one", "2026-01-01 two")
    assert (second["git"]["commit"], second["host"], second["command"]) == ("two", "two", "from two")
    assert {"started", "code", "reason", "step"} <= first.keys()


def test_the_code_of_a_process_is_that_of_its_start():
    assert attempt()["code"].keys() == {"src/wotempo", "callbacks"}
    assert "src/wotempo/runs/identity.py" in room.code_and_libraries()["code"]


def folder_of(tmp_path, *overrides):
    run = tmp_path / "run"
    run.mkdir(exist_ok=True)
    (run / "config.yaml").write_text(OmegaConf.to_yaml(config_of(*overrides), resolve=True))
    verdict = {"status": "incomplete", "written": "2026", "reason": "killed", "facts": {"signature": "theirs"}}
    (run / "verdict.json").write_text(json.dumps(verdict))
    return run


def test_another_configuration_is_refused_key_by_key(tmp_path):
    run = folder_of(tmp_path, "optimiser.lr=0.001", "trainer.limit_train_batches=3")
    ours = typed(config_of("optimiser.lr=0.002", "tracking=off", "workspace=other", "seed=1"))
    with pytest.raises(
        UserError, match=r"another configuration.*optimiser.lr: 0.001 there, 0.002 here, seed: 0 "
    ) as told:
        claim_run_dir(run, "ours", False, other_settings=lambda: other_settings(run, ours, by_place=True))
    assert "trainer.limit_train_batches: 3 there, null here" in str(told.value)
    assert "workspace" not in str(told.value)


def test_a_path_spelled_otherwise_is_the_same_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    run = folder_of(tmp_path, f"data.anchors={tmp_path}/a.npy", "data.labels=labels")
    ours = typed(config_of("data.anchors=link/a.npy", f"data.labels={tmp_path}/labels"))
    differs = other_settings(run, ours, by_place=True)
    assert differs == []
    assert claim_run_dir(run, "ours", False, other_settings=lambda: differs).resumed
    moved = typed(config_of("data.anchors=/elsewhere/a.npy", "data.labels=/elsewhere/labels"))
    assert other_settings(run, moved, by_place=False) == []  # identity.json knows their content
    assert len(other_settings(run, moved, by_place=True)) == 2


def test_other_criteria_are_named(tmp_path, capsys):
    run = folder_of(tmp_path)
    assert other_criteria(run, typed(config_of())) == []
    found = other_criteria(run, typed(config_of("acceptance.loss.min_drop=0.0")))
    assert found == ["acceptance.loss.min_drop: 0.01 there, 0.0 here"]
    check_taken(run, {}, found, strict=False)
    assert "other criteria: acceptance.loss.min_drop" in capsys.readouterr().out
    with pytest.raises(UserError, match="reuse=true takes it"):
        check_taken(run, {}, found, strict=True)


def test_an_option_that_came_later_is_none_of_the_differences(tmp_path):
    run = folder_of(tmp_path)
    criteria = criteria_of(typed(config_of()))
    del criteria["acceptance.plan.by"]
    write_identity(run, {**read_identity(run), "criteria": criteria})
    assert other_criteria(run, typed(config_of())) == []
    assert len(other_criteria(run, typed(config_of("acceptance.plan.by=score")))) == 1


def test_a_finished_run_is_compared_without_reading_its_logs(prepared, tmp_path):
    np.save(tmp_path / "anchors.npy", ANCHORS)
    (tmp_path / "filter.yaml").write_text("{}")
    raw = config_of(
        "data.kind=navsim", f"data.root={prepared.paths.root}", f"data.anchors={tmp_path}/anchors.npy",
        f"data.labels={prepared.labels}", f"data.val.scene_filter={tmp_path}/filter.yaml",
    )  # fmt: skip
    config = typed(raw)
    write_identity(tmp_path, identity_of(config, prepared, {}))
    assert changes_since(tmp_path, config) == {}
    change_log(prepared.paths)
    np.save(tmp_path / "anchors.npy", ANCHORS + 1)
    (tmp_path / "filter.yaml").write_text("{tokens: [a]}")
    (prepared.labels / "flags.npy").unlink()  # gone is not changed
    assert changes_since(tmp_path, config) == {
        "data": ["navsim_logs/trainval/gap.pkl"], "files": ["data.val.scene_filter"], "anchors": ["fingerprint"],
    }  # fmt: skip
    (tmp_path / FILE).unlink()
    assert changes_since(tmp_path, config) == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"data": 3}'])
def test_a_damaged_identity_is_one_sentence(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(UserError, match=r"identity\.json cannot be read"):
        read_identity(tmp_path)
