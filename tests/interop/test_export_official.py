"""What is exported is what the official agent loads, and only where it is the same function there."""

from __future__ import annotations

from dataclasses import replace

import lightning as L
import numpy as np
import pytest
import torch
from official_weights import OFFICIAL, SMALL, batch, identical, lightning_file, official_state, weights
from torch import nn

from callbacks.base.checksum import CHECKSUM
from wotempo.checkpoints.rebuild import load_module
from wotempo.errors import UserError
from wotempo.fusion import build_fusion
from wotempo.interop import DifferentWeights, export_official, import_official, read_single_frame, write_checkpoint
from wotempo.planners.wote.wote import WoTE
from wotempo.training.module import LitPlanner

COMPAT = replace(SMALL, mode="compat")


@pytest.fixture
def ours(tmp_path):
    """A checkpoint of this project in the layout ``compat``, by way of import."""
    official = lightning_file(tmp_path / "official.ckpt", official_state())
    return write_checkpoint(import_official(official, SMALL), tmp_path / "ours.ckpt").checkpoint


def rewritten(path, change):
    """The checkpoint after ``change(checkpoint)``, in place."""
    checkpoint = torch.load(path, weights_only=True)
    change(checkpoint)
    checkpoint.pop(CHECKSUM, None)  # of the content before the change
    torch.save(checkpoint, path)
    return path


def refused(path, config=SMALL) -> str:
    output = path.with_name("exported.ckpt")
    with pytest.raises(UserError) as caught:
        export_official(read_single_frame(path), output, config)
    assert not output.exists()
    return str(caught.value)


@pytest.mark.parametrize("steps", [1, 2])
def test_import_export_import_is_the_identity(tmp_path, steps):
    state = official_state(replace(SMALL, future_steps=steps))
    first = import_official(lightning_file(tmp_path / "official.ckpt", state), SMALL)
    ours = write_checkpoint(first, tmp_path / "ours.ckpt")
    exported = export_official(read_single_frame(ours.checkpoint), tmp_path / "exported.ckpt", SMALL)
    assert identical(torch.load(exported.checkpoint, weights_only=True)["state_dict"], state)
    second = import_official(exported.checkpoint, SMALL)
    assert identical(second.tensors, first.tensors)
    assert replace(second, tensors={}, source=first.source) == replace(first, tensors={})
    again = write_checkpoint(second, tmp_path / "again.ckpt")
    assert again.checkpoint.read_bytes() == ours.checkpoint.read_bytes()
    assert again.anchors.read_bytes() == ours.anchors.read_bytes() == exported.anchors.read_bytes()


class OfficialAgent(nn.Module):
    """What the official agent does with a checkpoint: its anchors come from a file of their own, and what the
    checkpoint lacks is passed over. Here it must not lack anything else."""

    def __init__(self, anchors) -> None:
        super().__init__()
        self.WoTE_model = WoTE(
            COMPAT, torch.tensor(np.load(anchors)), build_fusion("none", COMPAT.bev_channels, COMPAT.bev_grid)
        ).eval()

    def initialize(self, path) -> None:
        state = torch.load(path, map_location=torch.device("cpu"))["state_dict"]
        del state["agent.WoTE_model.trajectory_anchors"]
        left = self.load_state_dict({k.replace("agent.", ""): v for k, v in state.items()}, strict=False)
        assert left.missing_keys == ["WoTE_model.trajectory_anchors"]
        assert left.unexpected_keys == []


def test_the_official_loader_gets_the_same_model(tmp_path, ours):
    exported = export_official(read_single_frame(ours), tmp_path / "exported.ckpt", SMALL)
    agent = OfficialAgent(exported.anchors)
    agent.initialize(exported.checkpoint)
    expected, plan = load_module(ours)(batch()), agent.WoTE_model.plan(batch())
    assert all(torch.equal(plan[key], expected[key]) for key in expected)


def test_the_frozen_agent_head_is_exported(tmp_path, ours):
    exported = export_official(read_single_frame(ours), tmp_path / "exported.ckpt", SMALL)
    keys = torch.load(exported.checkpoint, weights_only=True)["state_dict"]
    for module in ("agent_query_embedding", "agent_head", "agent_tf_decoder"):
        assert any(key.startswith(f"{OFFICIAL}{module}.") for key in keys)


def test_a_fusion_stage_is_not_dropped_in_silence(ours):
    def fuse(checkpoint):
        checkpoint["hyper_parameters"]["fusion"] = {"name": "convgru", "num_frames": 4, "hidden": 8}
        checkpoint["state_dict"] |= {"model.fusion.a": torch.zeros(1), "model.fusion.b": torch.zeros(1)}

    message = refused(rewritten(ours, fuse))
    assert "fuses 4 frames by the stage 'convgru'" in message
    assert "its 2 tensors and all history would be lost" in message
    assert "fusion=none" in message


def test_a_fusion_stage_without_parameters_is_none_the_less_one(ours):
    def fuse(checkpoint):
        checkpoint["hyper_parameters"]["fusion"] = {"name": "mean", "num_frames": 2}

    assert "fuses 2 frames by the stage 'mean'" in refused(rewritten(ours, fuse))


def test_the_layout_fixed_is_refused_with_why(ours):
    message = refused(rewritten(ours, lambda c: c["hyper_parameters"]["model"].update(mode="fixed")))
    assert "trained in the layout 'fixed'" in message
    assert "official code would run it in the other one" in message
    assert "model.mode=compat" in message


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("heads", 4, "heads 4, the official code 2"),
        ("gpt_heads", 4, "gpt_heads 4, the official code 2"),
        ("lidar_max", 9, "lidar_max 9, the official code 5"),
        ("image_width", 256, "image_width 256, the official code 128"),
        (
            "reward_weights",
            [1.0, 0.0, 0.0, 0.0],
            "reward_weights (1.0, 0.0, 0.0, 0.0), the official code (0.1, 0.5, 0.5, 1.0)",
        ),
    ],
)
def test_what_the_official_code_fixes_must_be_equal_though_no_shape_shows_it(ours, field, value, says):
    assert says in refused(rewritten(ours, lambda c: c["hyper_parameters"]["model"].update({field: value})))


def test_another_number_of_anchors_than_named_is_refused(ours):
    assert "num_anchors 12, the official code 256" in refused(ours, replace(SMALL, num_anchors=256))


def test_the_published_sizes_are_the_default(tmp_path, ours):
    with pytest.raises(UserError, match="the official code 256"):
        export_official(read_single_frame(ours), tmp_path / "exported.ckpt")


def test_what_only_training_reads_is_free(tmp_path, ours):
    free = {"dropout": 0.3, "zero_init_last": True, "agent_head": True, "activation_checkpointing": True}
    rewritten(ours, lambda c: c["hyper_parameters"]["model"].update(free))
    export_official(read_single_frame(ours), tmp_path / "exported.ckpt", SMALL)


def test_damaged_weights_are_not_exported(ours):
    rewritten(ours, lambda c: c["state_dict"]["model.reward_head.2.bias"].fill_(float("nan")))
    assert "model.reward_head.2.bias holds NaN" in refused(ours)
    rewritten(ours, lambda c: c["state_dict"].pop("model.reward_head.2.bias"))
    assert "model.reward_head.2.bias (1,) is missing" in refused(ours)
    with pytest.raises(DifferentWeights):
        read_single_frame(ours)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("hyper_parameters"),
        lambda c: c["hyper_parameters"].pop("model"),
        lambda c: c.pop("state_dict"),
    ],
)
def test_what_is_not_ours_is_not_exported(ours, change):
    assert "not a checkpoint of this project" in refused(rewritten(ours, change))


def test_an_official_checkpoint_is_not_exported(tmp_path):
    assert "direction=import" in refused(lightning_file(tmp_path / "official.ckpt", official_state()))


def test_a_field_of_another_version_is_named(ours):
    rewritten(ours, lambda c: c["hyper_parameters"]["model"].update(colour="red"))
    assert "model.colour is unknown" in refused(ours)


def test_a_checkpoint_that_training_wrote_is_exported(tmp_path):
    tensors = weights()
    module = LitPlanner(
        COMPAT.to_dict(), {"name": "none", "num_frames": 1}, anchors=tensors["trajectory_anchors"].numpy()
    )
    module.model.load_state_dict(tensors)
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    exported = export_official(read_single_frame(tmp_path / "last.ckpt"), tmp_path / "exported.ckpt", SMALL)
    assert identical(import_official(exported.checkpoint, SMALL).tensors, tensors)
