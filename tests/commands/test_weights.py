"""The command that brings official weights in and ours out: exit codes, mistakes by name, and what it leaves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from official_weights import OFFICIAL, batch, identical, lightning_file, official_state

from callbacks.base.checksum import CHECKSUM
from wotempo.checkpoints.rebuild import load_module
from wotempo.command_line.entry import run
from wotempo.commands import weights as weights_command
from wotempo.config.checks import check_config
from wotempo.experiment import run as train_command
from wotempo.navsim import DataPaths, read_anchors
from wotempo.planners.config import sizes
from wotempo.preparation import prepare
from wotempo.preparation.prepare import Prepared

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed_in(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """``typed_in(name, check, work, *argv) -> (exit code, stdout, stderr)`` of a command, inside this process."""

    def command(name, check, work, *argv):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *argv])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(name, object, check, work)
        return ended.value.code, *capsys.readouterr()

    return command


@pytest.fixture
def weights(typed_in) -> Command:
    """``weights(*argv)``: wotempo weights, for the tiny preset."""

    def command(*argv):
        return typed_in("weights", weights_command.check, weights_command.work, "preset=wote_tiny", *argv)

    return command


@pytest.fixture(scope="module")
def state():
    return official_state(sizes("wote_tiny"))


@pytest.fixture
def official(tmp_path, state) -> Path:
    return lightning_file(tmp_path / "official.ckpt", state)


ANCHORS = sizes("wote_tiny").num_anchors
IMPORT = ("direction=import", "checkpoint=official.ckpt", "output=ours.ckpt")
EXPORT = ("direction=export", "checkpoint=ours.ckpt", "output=exported.ckpt")


def test_import_then_export(weights, official, state, tmp_path):
    code, out, err = weights(*IMPORT)
    assert (code, err) == (0, "")
    assert f"imported 541 tensors: K = 1, {ANCHORS} anchors" in out
    assert "wotempo evaluate checkpoint=ours.ckpt\n" in out
    assert f"model.mode=compat model.future_steps=1 model.num_anchors={ANCHORS} data.anchors=ours.anchors.npy" in out
    module = load_module(tmp_path / "ours.ckpt")
    assert module.model.config == replace(sizes("wote_tiny"), mode="compat")
    assert module(batch(sizes("wote_tiny")))["trajectory"].isfinite().all()

    code, out, err = weights(*EXPORT)
    assert (code, err) == (0, "")
    assert "cluster_file_path = exported.anchors.npy" in out
    assert "num_fut_timestep = 1" in out
    exported = torch.load(tmp_path / "exported.ckpt", weights_only=True)["state_dict"]
    assert identical(exported, state)
    anchors = state[f"{OFFICIAL}trajectory_anchors"].numpy()
    assert np.array_equal(read_anchors(tmp_path / "exported.anchors.npy"), anchors)


def test_a_number_of_anchors_can_be_named(weights, tmp_path):
    lightning_file(tmp_path / "official.ckpt", official_state(replace(sizes("wote_tiny"), num_anchors=24)))
    code, _, err = weights(*IMPORT)
    assert code == 2
    assert f"24 anchors, the configuration {ANCHORS}: set num_anchors=24" in err
    assert weights(*IMPORT, "num_anchors=24")[0] == 0


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("direction=import", "output=x"), "checkpoint is missing"),
        (("checkpoint=official.ckpt", "output=x"), "direction is missing"),
        (("direction=import", "checkpoint=official.ckpt"), "output is missing"),
        ((*IMPORT, "direction=inport"), "did you mean 'import'?"),
        ((*IMPORT, "preset=wote_tyni"), "did you mean 'wote_tiny'?"),
        ((*IMPORT, "overwite=true"), "did you mean 'overwrite'?"),
        ((*IMPORT, "+overwite=true"), "did you mean 'overwrite'?"),
        ((*IMPORT, "overwrite=perhaps"), "config key 'overwrite'"),
        ((*IMPORT, "num_anchors=0"), "1 or more"),
        ((*IMPORT, "checkpoint=absent.ckpt"), "there is no checkpoint absent.ckpt"),
        ((*IMPORT, "output=official.ckpt", "overwrite=true"), "is the checkpoint that is read"),
        ((*IMPORT, "output=official.ckpt/ours.ckpt"), "is a file"),
        (("direction=export", "checkpoint=official.ckpt", "output=x"), "not a checkpoint of this project"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(weights, official, tmp_path, argv, says):
    code, _, err = weights(*argv)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "runs") == ["official.ckpt"]


def test_an_existing_output_needs_overwrite(weights, official, tmp_path):
    (tmp_path / "ours.ckpt").write_bytes(b"kept")
    code, _, err = weights(*IMPORT)
    assert code == 2
    assert "overwrite=true" in err
    assert (tmp_path / "ours.ckpt").read_bytes() == b"kept"
    assert weights(*IMPORT, "overwrite=true")[0] == 0
    load_module(tmp_path / "ours.ckpt")


def test_a_failed_import_keeps_the_old_output(weights, state, tmp_path):
    lightning_file(tmp_path / "official.ckpt", dict(list(state.items())[1:]))
    (tmp_path / "ours.ckpt").write_bytes(b"kept")
    assert weights(*IMPORT, "overwrite=true")[0] == 2
    assert (tmp_path / "ours.ckpt").read_bytes() == b"kept"


def test_the_complete_list_of_differences_is_written(weights, state, tmp_path):
    lightning_file(tmp_path / "official.ckpt", dict(list(state.items())[:1]))
    code, _, err = weights(*IMPORT)
    assert code == 2
    assert "540 missing" in err
    assert "and 500 more; all of them: " in err
    complete = tmp_path / err.split("all of them: ")[1].strip()
    assert len(complete.read_text().splitlines()) == 540


def test_a_layout_that_the_official_code_lacks_is_not_exported(weights, official, tmp_path):
    weights(*IMPORT)
    checkpoint = torch.load(tmp_path / "ours.ckpt", weights_only=True)
    checkpoint["hyper_parameters"]["model"]["mode"] = "fixed"
    del checkpoint[CHECKSUM]  # of the content before
    torch.save(checkpoint, tmp_path / "ours.ckpt")
    code, _, err = weights(*EXPORT)
    assert code == 2
    assert "layout 'fixed'" in err
    assert not (tmp_path / "exported.ckpt").exists()


class NoCaches:
    left_out: ClassVar[dict[str, int]] = {}
    masked: ClassVar[dict[str, int]] = {}

    def build_caches(self) -> None:
        pass


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("model.mode=fixed",), "trained in the layout 'compat', not 'fixed': set model.mode=compat"),
        (("model.mode=compat", "model.future_steps=2"), "is of another model"),
    ],
)
def test_training_refuses_the_import_in_another_shape(
    weights, typed_in, official, tmp_path, monkeypatch, overrides, says
):
    weights(*IMPORT)
    anchors = read_anchors(tmp_path / "ours.anchors.npy")
    paths = DataPaths(tmp_path, tmp_path)
    prepared = Prepared(paths=paths, scenes={}, anchors=anchors, labels=tmp_path, name="none", note="")
    monkeypatch.setattr(prepare, "prepare", lambda config, progress: prepared)
    monkeypatch.setattr(prepare, "build_data", lambda *_: NoCaches())
    argv = ("model=wote_tiny", "fusion=convgru", "tracking=off", "trainer.progress_bar=false", "init_from=ours.ckpt")
    code, _, err = typed_in("train", check_config, train_command.work, *argv, *overrides)
    assert code == 2, err
    assert says in err
