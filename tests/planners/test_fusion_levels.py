"""A fusion stage inside the backbone: at LiDAR stage 3 or 2 instead of behind it."""

from __future__ import annotations

import pytest
import torch

from wotempo.errors import UserError
from wotempo.fusion import build_fusion
from wotempo.planners.config import LEVELS, sizes
from wotempo.planners.registry import build_planner
from wotempo.planners.wote.wote import WoTE
from wotempo.training.module import LitPlanner

FINE = [level for level in LEVELS if level != "bev8"]


def at_level(model: WoTE, level: str, stage: str = "convgru", frames: int = 3) -> WoTE:
    """``model`` (built with ``none``) with a stage of random parameters at that level."""
    channels, grid = model.config.level(level)
    torch.manual_seed(0)
    fusion = build_fusion(stage, channels, grid, frames, level=level)
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    twin = WoTE(model.config, model.trajectory_anchors, fusion)
    twin.load_state_dict(model.state_dict(), strict=False)
    return twin.eval()


def test_levels_of_the_published_model() -> None:
    published = sizes("wote")
    found = {level: (published.level(level)[0], *published.level(level)[1].shape) for level in LEVELS}
    assert found == {"bev8": (512, 8, 8), "lidar3": (256, 16, 16), "lidar2": (128, 32, 32)}
    with pytest.raises(UserError, match=r"'lidar1'.*lidar3"):
        published.level("lidar1")


@pytest.mark.parametrize("level", FINE)
def test_without_history_it_is_the_single_frame_model(make_model, make_batch, level: str) -> None:
    single, batch = make_model().eval(), make_batch(samples=3, window=3)
    batch["valid"][:, :-1] = False
    expected = single.plan(batch)
    for name, value in at_level(single, level).plan(batch).items():
        torch.testing.assert_close(value, expected[name], msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("level", FINE)
def test_history_acts_and_gets_gradient(make_model, make_batch, level: str) -> None:
    model, batch = at_level(make_model().eval(), level), make_batch(samples=3, window=3)
    batch["valid"][:] = True
    windows = []
    model.fusion.register_forward_pre_hook(lambda _, args: (args[0].retain_grad(), windows.append(args[0]))[0])
    fused = model(batch)["fused_bev"]
    assert fused.shape == (3, model.config.bev_channels, *model.config.bev_shape)
    fused.square().sum().backward()
    assert windows[0].shape[:2] == (3, 3)
    assert bool((windows[0].grad.abs().amax((2, 3, 4)) > 0).all())
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.fusion.parameters())
    alone = {**batch, "valid": torch.zeros_like(batch["valid"]).index_fill(1, torch.tensor([2]), True)}
    assert (model(alone)["fused_bev"] - fused).abs().max() > 1e-3


@pytest.mark.parametrize("level", FINE)
def test_what_follows_is_computed_for_current_frames_only(make_model, make_batch, level: str) -> None:
    model, batch, seen = at_level(make_model().eval(), level), make_batch(samples=3, window=3), {}
    batch["valid"][:] = True
    for stage in range(1, 5):
        net = getattr(model._backbone.lidar_encoder, f"layer{stage}")
        net.register_forward_pre_hook(lambda _, args, s=stage: seen.__setitem__(s, len(args[0])))
    model.plan(batch)
    assert seen == {stage: 5 if stage <= LEVELS[level] else 3 for stage in range(1, 5)}


def test_stage_of_another_level_is_refused(make_model) -> None:
    model = make_model()
    channels, grid = model.config.level("lidar3")
    with pytest.raises(UserError, match="at level 'bev8'"):
        WoTE(model.config, model.trajectory_anchors, build_fusion("mean", channels, grid))


def test_from_plain_data_with_a_control_and_frame_dropout(micro, make_model, make_batch) -> None:
    """What a checkpoint stores is enough, and the module tells the criteria what the control breaks."""
    options = {"name": "convgru", "num_frames": 3, "level": "lidar3", "control": "no_warp", "frame_dropout": 0.2}
    anchors = make_model().trajectory_anchors.numpy()
    assert build_planner("wote", micro, options, anchors).train()(make_batch())["fused_bev"].shape[0] == 3
    module = LitPlanner(micro.to_dict(), options, anchors=anchors)
    assert module.hparams["fusion"]["control"] == "no_warp"
    assert "warp_gain" in module.unjudged
    channels, grid = micro.level("lidar3")
    assert module.shape_contract("train")["model.fusion:out"] == f"B {channels} {grid.rows} {grid.cols} float"
    plain = LitPlanner(micro.to_dict(), {**options, "control": None, "frame_dropout": 0.0}, anchors=anchors)
    assert set(plain.state_dict()) == set(module.state_dict())
    plain.load_state_dict(module.state_dict())
