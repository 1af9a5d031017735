"""Checkpoints of another stage, length, stride or size: refused with the two values that disagree."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import lightning
import pytest
import torch
from hydra import compose
from tiny_dataset import make_frame

from wotempo.checkpoints.init_from import start_from
from wotempo.checkpoints.rebuild import load_module
from wotempo.config.checks import check_config
from wotempo.config.composition import loaded
from wotempo.errors import UserError
from wotempo.planners.config import sizes
from wotempo.training.module import LitPlanner

ANCHORS = torch.zeros(sizes("wote_tiny").num_anchors, 8, 3).numpy()
NONE = {"name": "none", "num_frames": 1}
CONCAT = {"name": "concat", "num_frames": 4, "frame_stride": 2}


def stored(path: Path, fusion: dict, edit=lambda content: None) -> Path:
    """A checkpoint as training writes it."""
    module = LitPlanner(sizes("wote_tiny").to_dict(), fusion, anchors=ANCHORS)
    content = {
        "state_dict": module.state_dict(),
        "hyper_parameters": dict(module.hparams),
        "pytorch-lightning_version": lightning.__version__,
        "global_step": 7,
    }
    edit(content)
    torch.save(content, path)
    return path


def test_a_checkpoint_says_how_long_its_history_is(tmp_path):
    module = load_module(stored(tmp_path / "a.ckpt", CONCAT))
    assert (module.num_frames, module.frame_stride) == (4, 2)
    assert load_module(stored(tmp_path / "b.ckpt", NONE)).frame_stride == 1  # older ones do not name a stride


def test_weights_of_another_length_are_refused_with_both_shapes(tmp_path):
    def shorter(content):
        content["hyper_parameters"]["fusion"] = {**CONCAT, "num_frames": 3}

    path = stored(tmp_path / "edited.ckpt", CONCAT, shorter)
    with pytest.raises(UserError, match=r"fusion\.project\.weight, \(128, 512, 1, 1\) there and \(128, 384, 1, 1\)"):
        load_module(path)


def test_weights_of_another_stage_are_refused(tmp_path):
    def other(content):
        content["hyper_parameters"]["fusion"] = NONE

    with pytest.raises(UserError, match=r"1 tensors differ, first model\.fusion\.project\.weight, .* and absent here"):
        load_module(stored(tmp_path / "edited.ckpt", CONCAT, other))


def test_a_temporal_checkpoint_is_no_start(tmp_path):
    path = stored(tmp_path / "temporal.ckpt", CONCAT)
    with (
        loaded(),
        pytest.raises(UserError, match=r"4 frames of stride 2 by 'concat', this run 8 frames of stride 1 by 'mean'"),
    ):
        check_config(compose("train", ["fusion=mean", "fusion.num_frames=8", f"init_from={path}", "run_dir=unset"]))
    with pytest.raises(UserError, match="give a single-frame checkpoint"):
        start_from(LitPlanner(sizes("wote_tiny").to_dict(), {**CONCAT, "frame_stride": 1}, anchors=ANCHORS), path)


@pytest.mark.parametrize("fusion", [NONE, CONCAT], ids=["single frame", "temporal"])
def test_the_same_model_starts_with_all_weights(tmp_path, fusion):
    path = stored(tmp_path / "a.ckpt", fusion)
    with loaded():
        words = [f"fusion={fusion['name']}", *(["fusion.frame_stride=2"] if fusion == CONCAT else [])]
        check_config(compose("train", [*words, "model=wote_tiny", f"init_from={path}", "run_dir=unset"]))
    ours = {**CONCAT, "frame_dropout": 0.2} if fusion == CONCAT else NONE
    module = LitPlanner(sizes("wote_tiny").to_dict(), ours, anchors=ANCHORS)
    found = start_from(module, path)
    theirs = torch.load(path, weights_only=True)["state_dict"]
    assert found["tensors"] == len(theirs)
    assert all(torch.equal(value, theirs[name]) for name, value in module.state_dict().items())
    assert found.get("options") == (["frame_dropout"] if fusion == CONCAT else None)


def test_all_tensors_that_differ_are_listed(tmp_path):
    path = stored(tmp_path / "a.ckpt", NONE)
    module = LitPlanner({**sizes("wote_tiny").to_dict(), "map_channels": 48}, NONE, anchors=ANCHORS)
    with pytest.raises(
        UserError, match=r"\d tensors differ, first model\.\S+, .* here; then model\.\S+, model\."
    ) as told:
        start_from(module, path)
    assert "\n" not in str(told.value)


def test_a_start_of_another_size_is_refused_with_both_shapes(tmp_path):
    path = stored(tmp_path / "single.ckpt", NONE)
    wider = {**sizes("wote_tiny").to_dict(), "map_channels": 48}
    with pytest.raises(UserError, match=r"bev_semantic_head\.0\.bias, \(32,\) there and \(48,\) here"):
        start_from(LitPlanner(wider, CONCAT, anchors=ANCHORS), path)
    assert start_from(LitPlanner(sizes("wote_tiny").to_dict(), CONCAT, anchors=ANCHORS), path)["of_step"] == 7


def test_full_history_and_reach(monkeypatch):
    """``with_history`` asks the log, not the scene's own four frames; what no scene has is refused for that split."""
    from wotempo.navsim import Log, Scene
    from wotempo.preparation.windows import with_history

    log = Log("a", "trainval", [make_frame("a", i, 0.5 * i) for i in range(20)])
    scenes = {"train": [Scene(log, i) for i in range(3, 15)]}

    def kept(full: bool, **fusion: int) -> list[int]:
        data = SimpleNamespace(full_history_only=full)
        model = sizes("wote_tiny")
        config = SimpleNamespace(planner="wote", model=model, fusion={"name": "mean", **fusion}, data=data)
        return [scene.index for scene in with_history(config, scenes)["train"]]  # type: ignore[arg-type]

    assert kept(True, num_frames=4) == list(range(3, 15))
    assert kept(True, num_frames=8) == list(range(7, 15))
    assert kept(True, num_frames=4, frame_stride=3) == list(range(9, 15))
    assert kept(False, num_frames=8) == list(range(3, 15))
    with pytest.raises(UserError, match=r"num_frames is 16 .* no scene of train has more than 15 "):
        kept(False, num_frames=16)
