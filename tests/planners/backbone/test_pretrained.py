"""ImageNet weights enter whole or not at all."""

from __future__ import annotations

from hashlib import sha256

import pytest
import torch
from safetensors.torch import save_file

from wotempo.checkpoints.image_encoder import load_image_encoder
from wotempo.errors import UserError


@pytest.fixture
def weights(make_model):
    """What a classifier of the right shape would be saved as."""
    encoder = make_model(seed=9)._backbone.image_encoder.state_dict()
    return {**encoder, "fc.weight": torch.zeros(10, 32), "fc.bias": torch.zeros(10)}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_all_tensors_arrive_and_the_record_says_what(make_model, weights, tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    model = make_model()
    lidar = {k: v.clone() for k, v in model._backbone.lidar_encoder.state_dict().items()}
    record = load_image_encoder(model, path)
    loaded = model._backbone.image_encoder.state_dict()
    assert all(torch.equal(loaded[key], weights[key]) for key in loaded)
    assert all(torch.equal(v, lidar[k]) for k, v in model._backbone.lidar_encoder.state_dict().items())
    assert (record["path"], record["tensors"]) == (str(path), len(loaded))
    assert record["sha256"] == sha256(path.read_bytes()).hexdigest()


def test_a_file_from_before_batch_counters_is_fine(make_model, weights, tmp_path):
    old = {key: value for key, value in weights.items() if not key.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    assert load_image_encoder(make_model(), tmp_path / "old.pth")["tensors"] == len(old) - 2


def without(key):
    return lambda w: {k: v for k, v in w.items() if k != key}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("layer2.0.conv1.weight"), "layer2.0.conv1.weight"),
        (lambda w: w | {"layer9.weight": torch.zeros(1)}, "layer9.weight"),
        (lambda w: w | {"conv1.weight": torch.zeros(64, 3, 7, 7)}, "channels"),
        (lambda w: {f"module.{k}": v for k, v in w.items()}, "does not fit"),
        (lambda w: {"state_dict": w}, "no plain state dict"),
        (lambda w: [1, 2], "holds a list, not a checkpoint"),
    ],
)
def test_a_wrong_file_is_an_error(make_model, weights, tmp_path, damage, message):
    torch.save(damage(weights), tmp_path / "wrong.pth")
    with pytest.raises(UserError, match=message):
        load_image_encoder(make_model(), tmp_path / "wrong.pth")


@pytest.mark.parametrize("name", ["noise.pth", "noise.safetensors", "empty.pth"])
def test_what_is_no_checkpoint_is_named(make_model, tmp_path, name):
    (tmp_path / name).write_bytes(b"" if name.startswith("empty") else b"\x01nothing\x02" * 100)
    with pytest.raises(UserError, match=f"{name} is no readable"):
        load_image_encoder(make_model(), tmp_path / name)
    with pytest.raises(UserError, match=r"there is no checkpoint .*absent\.pth"):
        load_image_encoder(make_model(), tmp_path / "absent.pth")
