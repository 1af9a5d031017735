"""The one reader of checkpoints, through all that reads one: a file that cannot be used is one clear sentence."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose
from official_weights import MICRO

from wotempo.checkpoints.image_encoder import load_image_encoder
from wotempo.checkpoints.init_from import start_from
from wotempo.checkpoints.newest import newest_checkpoint
from wotempo.checkpoints.rebuild import load_module
from wotempo.config.checks import check_config
from wotempo.config.composition import loaded
from wotempo.errors import UserError
from wotempo.interop import import_official, read_single_frame
from wotempo.interop.planner_file import read_planner
from wotempo.training.module import LitPlanner

NONE = {"name": "none", "num_frames": 1}
ANCHORS = torch.zeros(MICRO.num_anchors, MICRO.num_poses, 3).numpy()


def made(**changes) -> LitPlanner:
    return LitPlanner(MICRO.to_dict(), NONE, anchors=ANCHORS, **changes)


def as_init_from(path: Path) -> None:
    with loaded():
        check_config(compose("train", [f"init_from={path}", "run_dir=unset"]))


def as_newest(path: Path) -> None:
    """Continuing a run passes a file over and says why."""
    _, _, damaged = newest_checkpoint(path.parent)
    if damaged:
        raise UserError(f"{path.parent}/{damaged[0]}")


PLANNERS: dict[str, Callable[[Path], object]] = {  # what reads a planner of this project
    "evaluate, drive, report": load_module,
    "checks of init_from": as_init_from,
    "start_from": lambda path: start_from(made(), path),
    "official agent": read_planner,
    "export": read_single_frame,
}
READERS: dict[str, Callable[[Path], object]] = {
    **PLANNERS,
    "import": import_official,
    "image_checkpoint": lambda path: load_image_encoder(made().model, path),
    "resume": as_newest,
}


class Code:
    """What unpickling would run."""

    def __reduce__(self) -> tuple:
        return (print, ("run",))


def whole(path: Path, **changes) -> Path:
    module = made()
    content = {
        "state_dict": module.state_dict(),
        "hyper_parameters": dict(module.hparams),
        "global_step": 3,
        "epoch": 0,
    }
    torch.save({**content, **changes}, path)
    return path


def truncated(path: Path) -> None:
    whole(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path) -> None:
    """One byte of the weights is another: torch reads on without a word."""
    whole(path)
    with zipfile.ZipFile(path) as archive:
        tensors = [record for record in archive.infolist() if "/data/" in record.filename]
        largest = max(tensors, key=lambda record: record.file_size)
    content = bytearray(path.read_bytes())
    content[largest.header_offset + 200 + largest.file_size // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def unsafe(path: Path) -> None:
    whole(path, extra=Code())


DAMAGE = {
    "truncated": (truncated, "is no readable checkpoint"),
    "empty": (lambda path: path.write_bytes(b""), "is no readable checkpoint"),
    "something else": (lambda path: path.write_bytes(b"\x01nothing\x02" * 100), "is no readable checkpoint"),
    "flipped": (flipped, "does not match its checksum"),
    "unsafe": (unsafe, "holds pickled code .*print.*, which is not executed"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_cannot_be_read_is_one_sentence(reader, damage, tmp_path, capsys):
    spoil, sentence = DAMAGE[damage]
    spoil(tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=rf"a\.ckpt .*{sentence}") as told:
        READERS[reader](tmp_path / "a.ckpt")
    assert "\n" not in str(told.value)
    assert "run" not in capsys.readouterr().out


@pytest.mark.parametrize("reader", [name for name in READERS if name != "resume"])
def test_a_file_that_is_not_there(reader, tmp_path):
    with pytest.raises(UserError, match=r"no (checkpoint|file) .*nowhere\.ckpt"):
        READERS[reader](tmp_path / "nowhere.ckpt")


@pytest.mark.parametrize("reader", PLANNERS)
def test_a_file_of_another_project(reader, tmp_path):
    torch.save({"state_dict": {"net.weight": torch.zeros(1)}}, tmp_path / "other.ckpt")
    with pytest.raises(UserError, match=r"other\.ckpt is not a checkpoint of this project"):
        PLANNERS[reader](tmp_path / "other.ckpt")


@pytest.mark.parametrize("prefix", ["module.", "agent.", "net.model."])
@pytest.mark.parametrize("reader", PLANNERS)
def test_a_file_whose_names_have_a_prefix(reader, prefix, tmp_path):
    """The case prefixed_checkpoint of the field."""
    state = {f"{prefix}{name}": value for name, value in made().state_dict().items()}
    path = whole(tmp_path / "prefixed.ckpt", state_dict=state)
    with pytest.raises(
        UserError, match=rf"prefixed\.ckpt is of another model: {len(state)} tensors differ, first {prefix}"
    ):
        PLANNERS[reader](path)


@pytest.mark.parametrize("reader", PLANNERS)
def test_a_file_of_another_version_or_planner(reader, tmp_path):
    """What a newer program wrote is not guessed at."""
    parameters = dict(made().hparams)
    path = whole(tmp_path / "newer.ckpt", hyper_parameters={**parameters, "model": {**MICRO.to_dict(), "eyes": 3}})
    with pytest.raises(UserError, match=r"another version \(model\.eyes is unknown\)"):
        PLANNERS[reader](path)
    path = whole(tmp_path / "unknown.ckpt", hyper_parameters={**parameters, "planner": "wotee"})
    with pytest.raises(UserError, match=r"unknown\.ckpt: planner is 'wotee', which is no planner: did you mean 'wote'"):
        PLANNERS[reader](path)


@pytest.mark.parametrize("reader", ["checks of init_from", "start_from"])
def test_a_file_of_the_other_layout(reader, tmp_path):
    parameters = {**dict(made().hparams), "model": {**MICRO.to_dict(), "mode": "compat"}}
    path = whole(tmp_path / "compat.ckpt", hyper_parameters=parameters)
    with pytest.raises(UserError, match=r"was trained in the layout 'compat', not 'fixed': set model\.mode=compat"):
        PLANNERS[reader](path)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    state = made().state_dict()
    state["model._bev_downscale.bias"][0] = torch.nan
    path = whole(tmp_path / "nan.ckpt", state_dict=state)
    for read in (load_module, read_planner):
        with pytest.raises(UserError, match=r"holds NaN or infinity in 1 tensors, first model\._bev_downscale\.bias"):
            read(path)


def test_checkpoints_from_before_there_were_planners_are_wote(tmp_path):
    parameters = dict(made().hparams)
    del parameters["planner"]
    module = load_module(whole(tmp_path / "old.ckpt", hyper_parameters=parameters))
    assert type(module.model).__name__ == "WoTE"
    assert module.hparams["planner"] == "wote"
    rebuilt = LitPlanner.rebuild({"hyper_parameters": parameters, "state_dict": made().state_dict()})
    assert type(rebuilt.model).__name__ == "WoTE"


def test_a_planner_without_its_anchors_is_refused(tmp_path):
    state = made().state_dict()
    del state["model.trajectory_anchors"]
    with pytest.raises(UserError, match="holds the planner 'wote' without its anchors"):
        load_module(whole(tmp_path / "a.ckpt", state_dict=state))


def test_the_official_format_has_no_place_for_another_planner(tmp_path):
    module = LitPlanner(MICRO.to_dict(), NONE, planner="transfuser")
    path = whole(tmp_path / "tf.ckpt", hyper_parameters=dict(module.hparams), state_dict=module.state_dict())
    with pytest.raises(UserError, match=r"holds the planner 'transfuser', and the official format is that of WoTE"):
        read_single_frame(path)
    assert type(read_planner(path)).__name__ == "TransFuser"
