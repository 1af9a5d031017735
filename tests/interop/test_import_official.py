"""Official weights enter whole or not at all, and what is wrong with a file is said by name."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from official_weights import OFFICIAL, SMALL, batch, identical, lightning_file, official_state, weights

from wotempo.checkpoints.init_from import start_from
from wotempo.checkpoints.rebuild import load_module
from wotempo.errors import UserError
from wotempo.fusion import build_fusion
from wotempo.interop import DifferentWeights, import_official, write_checkpoint
from wotempo.interop.compare import SHOWN
from wotempo.navsim import fingerprint, read_anchors
from wotempo.planners.config import sizes
from wotempo.planners.wote.wote import WoTE
from wotempo.training.module import LitPlanner


@pytest.fixture(scope="module")
def state():
    return official_state()


def refused(path, config=SMALL) -> str:
    with pytest.raises(UserError) as caught:
        import_official(path, config)
    assert str(path) in str(caught.value)
    return str(caught.value)


# ---- what fits


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("outer", [True, False], ids=["checkpoint", "bare"])
def test_every_tensor_arrives_as_it_was(tmp_path, steps, outer):
    state = official_state(replace(SMALL, future_steps=steps))
    if outer:
        path = lightning_file(tmp_path / "official.ckpt", OrderedDict(state))
    else:
        path = tmp_path / "official.pth"
        torch.save(state, path)
    found = import_official(path, SMALL)  # the file knows its number of future steps, not the configuration
    assert found.config == replace(SMALL, mode="compat", future_steps=steps)
    assert identical(found.tensors, {key.removeprefix(OFFICIAL): value for key, value in state.items()})
    assert (found.epoch, found.global_step) == ((29, 19950) if outer else (0, 0))
    assert found.anchors_fingerprint == fingerprint(state[f"{OFFICIAL}trajectory_anchors"].numpy())


def test_half_precision_stays_half_precision(tmp_path, state):
    halves = {k: v.half() if v.is_floating_point() and "anchors" not in k else v for k, v in state.items()}
    found = import_official(lightning_file(tmp_path / "half.ckpt", halves), SMALL)
    assert identical(found.tensors, {key.removeprefix(OFFICIAL): value for key, value in halves.items()})
    written = write_checkpoint(found, tmp_path / "ours.ckpt")
    assert load_module(written.checkpoint).model._status_encoding.weight.dtype == torch.float32


def test_evaluation_loads_the_import_and_it_plans_as_the_model_does(tmp_path):
    config = replace(SMALL, mode="compat", future_steps=2)
    path = lightning_file(tmp_path / "official.ckpt", official_state(config))
    written = write_checkpoint(import_official(path, SMALL), tmp_path / "ours.ckpt")
    module = load_module(written.checkpoint)
    assert module.model.config == config
    assert module.num_frames == 1
    tensors = weights(config)
    model = WoTE(
        config, tensors["trajectory_anchors"], build_fusion("none", config.bev_channels, config.bev_grid)
    ).eval()
    model.load_state_dict(tensors)
    plan, expected = module(batch(config)), model.plan(batch(config))
    assert plan["trajectory"].shape == (2, 8, 3)
    assert all(torch.equal(plan[key], expected[key]) for key in expected)
    assert np.array_equal(read_anchors(written.anchors), tensors["trajectory_anchors"].numpy())


def test_a_file_of_parameters_that_want_gradients_is_as_good(tmp_path, state):
    learnt = {k: torch.nn.Parameter(v) if v.is_floating_point() else v for k, v in state.items()}
    found = import_official(lightning_file(tmp_path / "parameters.ckpt", learnt), SMALL)
    load_module(write_checkpoint(found, tmp_path / "ours.ckpt").checkpoint)


def test_lightning_itself_loads_the_import(tmp_path, state):
    found = import_official(lightning_file(tmp_path / "official.ckpt", state), SMALL)
    written = write_checkpoint(found, tmp_path / "ours.ckpt")
    module = LitPlanner.load_from_checkpoint(written.checkpoint, anchors=found.anchors, weights_only=True)
    assert identical(dict(module.model.state_dict()), dict(load_module(written.checkpoint).model.state_dict()))


def temporal(mode: str, anchors: np.ndarray) -> LitPlanner:
    return LitPlanner(
        model=replace(SMALL, mode=mode).to_dict(),
        fusion={"name": "convgru", "num_frames": 3, "hidden": 8},
        anchors=anchors,
        anchors_fingerprint=fingerprint(anchors),
    )


def test_a_temporal_run_starts_from_the_import_in_its_own_layout_only(tmp_path, state):
    found = import_official(lightning_file(tmp_path / "official.ckpt", state), SMALL)
    path = write_checkpoint(found, tmp_path / "ours.ckpt").checkpoint
    module = temporal("compat", found.anchors)
    assert start_from(module, path) == {"path": str(path), "tensors": len(state), "of_step": 19950}
    kept = {k: v for k, v in module.model.state_dict().items() if not k.startswith("fusion.")}
    assert identical(kept, found.tensors)
    with pytest.raises(UserError, match=r"set model\.mode=compat"):
        start_from(temporal("fixed", found.anchors), path)
    with pytest.raises(UserError, match="anchors"):
        start_from(temporal("compat", found.anchors + 1), path)


# ---- tensors that do not fit


def with_value(key, value):
    return lambda s: s | {OFFICIAL + key: value}


def without(*keys):
    return lambda s: {k: v for k, v in s.items() if k.removeprefix(OFFICIAL) not in keys}


def poked(key, value):
    def damage(s):
        tensor = s[OFFICIAL + key].clone()
        tensor.view(-1)[3] = value
        return s | {OFFICIAL + key: tensor}

    return damage


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (without("reward_head.2.bias"), "reward_head.2.bias (1,) is missing"),
        (without("trajectory_anchors"), "trajectory_anchors (12, 8, 3) is missing"),
        (without("reward_conv_net.conv1.weight"), "reward_conv_net.conv1.weight (32, 64, 3, 3) is missing"),
        (with_value("reward_head.4.bias", torch.zeros(1)), "reward_head.4.bias is not part of it"),
        (with_value("reward_head.2.bias", torch.zeros(2)), "reward_head.2.bias is (2,), not (1,)"),
        (with_value("reward_conv_net.conv1.weight", torch.zeros(32, 70, 3, 3)), "(32, 70, 3, 3), not (32, 64, 3, 3)"),
        (with_value("reward_conv_net.conv1.weight", torch.zeros(32)), "(32,), not (32, 64, 3, 3)"),
        (with_value("trajectory_anchors", torch.zeros(12, 24)), "trajectory_anchors is (12, 24), not (12, 8, 3)"),
        (with_value("trajectory_anchors", torch.tensor(0.0)), "trajectory_anchors is (), not (12, 8, 3)"),
        (with_value("reward_head.2.bias", torch.zeros(1, dtype=torch.int64)), "torch.int64, not torch.float32"),
        (with_value("reward_head.2.bias", torch.zeros(1, dtype=torch.complex64)), "torch.complex64, not torch.float32"),
        (with_value("reward_head.2.bias", [0.0]), "reward_head.2.bias is no tensor with values but list"),
        (with_value("reward_head.2.bias", torch.zeros(1, device="meta")), "no tensor with values but torch.strided"),
        (with_value("reward_head.2.bias", torch.zeros(1).to_sparse()), "no tensor with values but torch.sparse_coo"),
        (
            with_value("reward_conv_net.bn1.num_batches_tracked", torch.tensor(1.0)),
            "num_batches_tracked is torch.float32, not torch.int64",
        ),
        (
            poked("latent_world_model.layers.0.norm1.bias", float("nan")),
            "norm1.bias holds NaN or infinity in 1 of 32 values",
        ),
        (poked("trajectory_anchors", float("inf")), "trajectory_anchors holds NaN or infinity in 1 of 288 values"),
        (lambda s: s | {5: torch.zeros(1)}, "5 is not part of it"),
        (lambda s: s | {"agent.loss.weight": torch.zeros(1)}, "agent.loss.weight is not part of it"),
    ],
)
def test_one_wrong_tensor_is_one_sentence(tmp_path, state, damage, says):
    message = refused(lightning_file(tmp_path / "wrong.ckpt", damage(state)))
    assert says in message
    assert "\n" not in message


def test_every_wrong_tensor_is_named_in_the_order_of_the_model(tmp_path, state):
    wrong = without("_status_encoding.bias", "offset_score_head.2.bias")(state)
    wrong = with_value("reward_head.0.bias", torch.zeros(3))(poked("reward_head.0.weight", float("-inf"))(wrong))
    wrong = with_value("attention.weight", torch.zeros(3))(wrong)
    path = lightning_file(tmp_path / "wrong.ckpt", wrong)
    with pytest.raises(DifferentWeights) as caught:
        import_official(path, SMALL)
    assert [text.removeprefix(OFFICIAL).split()[0] for text in caught.value.differences] == [
        "_status_encoding.bias",
        "reward_head.0.weight",
        "reward_head.0.bias",
        "offset_score_head.2.bias",
        "attention.weight",
    ]
    first, *others = str(caught.value).splitlines()
    assert "(2 missing, 1 not finite, 1 of another shape, 1 extra)" in first
    assert "_status_encoding.bias (32,) is missing" in first
    assert [line.strip() for line in others] == caught.value.differences[1:]
    assert not caught.value.abbreviated


def test_a_long_list_is_abbreviated_with_its_count(tmp_path, state):
    path = lightning_file(tmp_path / "wrong.ckpt", dict(list(state.items())[:5]))
    with pytest.raises(DifferentWeights) as caught:
        import_official(path, SMALL)
    assert len(caught.value.differences) == len(state) - 5
    assert str(caught.value).splitlines()[-1] == f"  and {len(state) - 5 - SHOWN} more"
    assert len(str(caught.value).splitlines()) == SHOWN + 1
    assert caught.value.abbreviated


def test_another_number_of_anchors_says_which_to_set(tmp_path, state):
    path = lightning_file(tmp_path / "official.ckpt", state)
    message = refused(path, replace(SMALL, num_anchors=256))
    assert "12 anchors, the configuration 256: set num_anchors=12" in message


def test_rounded_anchors_are_other_anchors(tmp_path, state):
    rounded = with_value("trajectory_anchors", state[f"{OFFICIAL}trajectory_anchors"].bfloat16())(state)
    assert "anchors as torch.bfloat16" in refused(lightning_file(tmp_path / "rounded.ckpt", rounded))


def test_the_default_is_the_published_model(tmp_path, state):
    path = lightning_file(tmp_path / "small.ckpt", state)
    with pytest.raises(UserError, match="12 anchors, the configuration 256"):
        import_official(path)


# ---- files that are something else


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (
            {"agent._transfuser_model._backbone.weight": torch.zeros(1)},
            "the first is agent._transfuser_model._backbone",
        ),
        ({"WoTE_model.trajectory_anchors": torch.zeros(1)}, "no key begins with agent.WoTE_model."),
        ({"model.trajectory_anchors": torch.zeros(1)}, "a checkpoint of this project already"),
        ({}, "no state_dict"),
        ([torch.zeros(1)], "no state_dict"),
        (None, "no state_dict"),
    ],
)
def test_another_architecture_is_named_by_its_first_key(tmp_path, state, says):
    assert says in refused(lightning_file(tmp_path / "other.ckpt", state))


@pytest.mark.parametrize("content", [{}, [1, 2], torch.zeros(3), "text"])
def test_a_file_without_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "other.ckpt")
    assert "state_dict" in refused(tmp_path / "other.ckpt")


def test_absent_and_folder(tmp_path):
    assert "there is no checkpoint" in refused(tmp_path / "absent.ckpt")
    assert "there is no checkpoint" in refused(tmp_path)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("kept", [0.0, 1e-5, 0.1, 0.5, 0.99, "all but one byte"])
def test_a_truncated_file(tmp_path, state, legacy, kept):
    path = tmp_path / "official.ckpt"
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 1 if isinstance(kept, str) else int(len(whole) * kept)])
    assert "is no readable checkpoint" in refused(path)


@pytest.mark.parametrize(
    "content",
    [b"<!DOCTYPE html><html>" * 99, b"\x01noise\x02" * 99, pickle.dumps({"state_dict": {}})],
    ids=["web page", "noise", "plain pickle"],
)
def test_foreign_bytes(tmp_path, content):
    (tmp_path / "foreign.ckpt").write_bytes(content)
    assert "is no readable checkpoint" in refused(tmp_path / "foreign.ckpt")


def test_a_foreign_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "foreign.ckpt", "w") as archive:
        archive.writestr("readme.txt", "no tensors")
    assert "is no readable checkpoint" in refused(tmp_path / "foreign.ckpt")


def test_one_flipped_bit_in_a_tensor_is_seen(tmp_path, state):
    path = lightning_file(tmp_path / "official.ckpt", state)
    key, values = next((k, v) for k, v in state.items() if v.numel() > 500)
    content = bytearray(path.read_bytes())
    start = content.find(values.numpy().tobytes())
    assert start > 0, key
    content[start + 100] ^= 1
    path.write_bytes(content)
    assert "does not match its checksum" in refused(path)


class RunsACommand:
    def __init__(self, folder) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_pickled_code_is_named_and_not_run(tmp_path, state):
    path = lightning_file(tmp_path / "unsafe.ckpt", state, callback=RunsACommand(tmp_path / "made"))
    message = refused(path)
    assert "pickled code (posix.mkdir)" in message
    assert "\n" not in message
    assert not (tmp_path / "made").exists()


def test_a_pickled_module_is_named(tmp_path):
    torch.save({"state_dict": {}, "model": torch.nn.Linear(2, 2)}, tmp_path / "module.ckpt")
    assert "pickled code (torch.nn.modules.linear.Linear)" in refused(tmp_path / "module.ckpt")


def test_the_tiny_preset_is_read_too(tmp_path):
    path = lightning_file(tmp_path / "tiny.ckpt", official_state(sizes("wote_tiny")))
    assert import_official(path, sizes("wote_tiny")).config == replace(sizes("wote_tiny"), mode="compat")
