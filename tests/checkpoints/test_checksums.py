"""A bit that was flipped in a checkpoint, on the disk or by a tool that wrote it again, is found by its one reader."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from callbacks import Record
from callbacks.base.checksum import CHECKSUM, checksum
from callbacks.criteria.checkpoint import inspect_checkpoint
from callbacks.criteria.learning import LearningGuard
from callbacks.forensics.recorder import STEP, WEIGHTS
from callbacks.measures.reload import compare_forward
from wotempo.checkpoints.init_from import start_from
from wotempo.checkpoints.newest import newest_checkpoint
from wotempo.checkpoints.plain_file import read_plain
from wotempo.checkpoints.rebuild import load_module
from wotempo.errors import UserError
from wotempo.training.checkpoints import AtomicCheckpointIO

WEIGHT = "model.layer.weight"


def content() -> dict:
    weights = torch.arange(1.0, 33.0).reshape(4, 8) / 7
    moments = {"exp_avg": weights.clone(), "step": torch.tensor(3.0)}
    return {
        "global_step": 3,
        "state_dict": {WEIGHT: weights, "model.counts": torch.arange(3), "model.half": weights.bfloat16()},
        "optimizer_states": [{"state": {0: moments}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]}],
        "hyper_parameters": {"model": {"channels": 2}, "fusion": None},
    }


def flipped(value: torch.Tensor) -> torch.Tensor:
    """The first weight with the highest bit of its exponent turned: some 1e38."""
    bits = struct.unpack("<I", struct.pack("<f", float(value.flatten()[0])))[0] ^ (1 << 30)
    changed = value.clone()
    changed.view(-1)[0] = struct.unpack("<f", struct.pack("<I", bits))[0]
    return changed


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(content(), path)
    return path


def test_what_was_written_is_read(written, capsys):
    assert read_plain(written)[CHECKSUM] == checksum(content())
    assert capsys.readouterr().out == ""


def rewritten(path: Path, change) -> None:
    loaded = torch.load(path, weights_only=True)
    change(loaded)
    torch.save(loaded, path)


CHANGES = {
    "a weight": lambda c: c["state_dict"].update({WEIGHT: flipped(c["state_dict"][WEIGHT])}),
    "the last bit of a weight": lambda c: c["state_dict"][WEIGHT].view(torch.int32).view(-1)[5].bitwise_xor_(1),
    "a counter": lambda c: c["state_dict"]["model.counts"].add_(1),
    "a moment of the optimiser": lambda c: c["optimizer_states"][0]["state"][0]["exp_avg"].add_(1e-3),
    "the step": lambda c: c.update(global_step=4),
    "a name": lambda c: c["state_dict"].update({"model.other": c["state_dict"].pop("model.half")}),
    "a hyper-parameter": lambda c: c["hyper_parameters"]["model"].update(channels=3),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named_to_every_reader(written, name):
    rewritten(written, CHANGES[name])
    with pytest.raises(UserError, match=r"last\.ckpt was changed after it was written"):
        read_plain(written)
    assert newest_checkpoint(written.parent)[0] is None
    expected = {key: tuple(value.shape) for key, value in content()["state_dict"].items()}
    step, fault = inspect_checkpoint(str(written), expected)
    assert (step, "was changed" in fault) == (-1, True)


def claimed(path: Path) -> Any:
    """A trainer whose callback says that it wrote ``path``."""
    writer = ModelCheckpoint()
    writer.last_model_path = str(path)
    return SimpleNamespace(checkpoint_callbacks=[writer])


def learning(path: Path) -> None:
    """The criterion at the end of a run; it measures nothing where the file is of no use."""
    guard = LearningGuard()
    guard.memory["terms"] = {"loss": 1.0}
    guard.conclude(claimed(path), None)
    assert guard.status == "inconclusive"
    raise ValueError(guard.message)


READERS = {
    "evaluate and evaluate of variants": load_module,
    "init_from": lambda path: start_from(None, path),
    "Lightning's continuation of a run": lambda path: AtomicCheckpointIO().load_checkpoint(path, weights_only=False),
    "learning": learning,
    "checkpoint's comparison of outputs": lambda path: compare_forward(str(path), None, None, None),
    "the record of a failed step": lambda path: [path.rename(path.with_name(WEIGHTS)), Record.read(path.parent)],
}


@pytest.mark.parametrize("name", READERS)
def test_a_weight_of_1e38_is_refused_by_every_reader(written, name):
    torch.save({"micro_batches": []}, written.with_name(STEP))
    rewritten(written, CHANGES["a weight"])
    with pytest.raises((UserError, ValueError), match="was changed after it was written"):
        READERS[name](written)


def test_every_flipped_byte_of_the_weights_on_the_disk_is_found(written):
    data = bytearray(written.read_bytes())
    place = data.index(content()["state_dict"][WEIGHT].numpy().tobytes())
    for offset in range(0, 128, 5):
        changed = bytearray(data)
        changed[place + offset] ^= 0x40
        written.write_bytes(changed)
        with pytest.raises(UserError, match=r"last\.ckpt is damaged \('.*' does not match its checksum"):
            read_plain(written)


def test_a_file_without_a_checksum_is_held_against_what_weights_can_be(tmp_path, capsys):
    path = tmp_path / "old.ckpt"
    torch.save(content(), path)
    assert read_plain(path)["global_step"] == 3
    assert "old.ckpt carries no checksum" in capsys.readouterr().out
    state = content()["state_dict"]
    for held in ({"state_dict": {WEIGHT: flipped(state[WEIGHT])}}, {WEIGHT: -flipped(state[WEIGHT])}):
        for legacy in (False, True):
            torch.save(held, path, _use_new_zipfile_serialization=not legacy)
            with pytest.raises(UserError, match=rf"old\.ckpt holds a weight of .*e\+3. in {WEIGHT}"):
                read_plain(path)


def test_a_checksum_depends_on_values_and_their_order_and_not_on_the_layout():
    value = torch.arange(6.0).reshape(2, 3)
    assert checksum({"a": value.T.contiguous()}) == checksum({"a": value.T})
    assert checksum({"a": (1, 2)}) != checksum({"a": (2, 1)})
    assert checksum({"a": value}) != checksum({"a": value.reshape(3, 2)})
