"""Fusion of LiDAR inputs: without history the single-frame model, and nothing but current frames is encoded."""

from __future__ import annotations

import pytest
import torch

from wotempo.errors import UserError
from wotempo.fusion import build_fusion
from wotempo.geometry.warp import warp_with_mask
from wotempo.planners.wote.wote import WoTE
from wotempo.streaming.planner import StreamingPlanner
from wotempo.training.module import LitPlanner

T = 3


def stacked(model: WoTE, **options) -> WoTE:
    """``model`` (built with ``none``) with a stage of random parameters."""
    channels, grid = model.config.level("points")
    torch.manual_seed(0)
    fusion = build_fusion("lidar_stack", channels, grid, T, **options)
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    twin = WoTE(model.config, model.trajectory_anchors, fusion)
    twin.load_state_dict(model.state_dict(), strict=False)
    return twin.eval()


@pytest.fixture
def batch(make_batch, micro) -> dict:
    """Windows whose history is valid but for the first, with stacks of random counts."""
    batch = make_batch(samples=3, window=T)
    stack = torch.randint(0, 6, (3, T, 1, *micro.lidar_shape), dtype=torch.uint8)
    stack[:, -1] = batch["lidar"][batch["frame_index"][:, -1]]
    return {**batch, "lidar_stack": stack, "lidar_stack_pose": batch["pose"].clone()}


def test_without_history_it_is_the_single_frame_model(make_model, batch) -> None:
    single = make_model().eval()
    batch["valid"][:, :-1] = False
    expected, found = single.plan(batch), stacked(single).plan(batch)
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], msg=lambda m, n=name: f"{n}: {m}")


def test_as_built_it_is_the_single_frame_model(make_model, batch) -> None:
    single = make_model().eval()
    fresh = build_fusion("lidar_stack", *single.config.level("points"), T)
    twin = WoTE(single.config, single.trajectory_anchors, fresh)
    twin.load_state_dict(single.state_dict(), strict=False)
    torch.testing.assert_close(twin.eval().plan(batch)["trajectory"], single.plan(batch)["trajectory"])


def test_history_acts_and_only_current_frames_are_encoded(make_model, batch) -> None:
    single = make_model().eval()
    model, seen = stacked(single), []
    model._backbone.register_forward_pre_hook(lambda _, args: seen.append([len(x) for x in args[:2]]))
    fused = model(batch)["fused_bev"]
    assert seen == [[3, 3]]
    alone = single(batch)["fused_bev"]
    torch.testing.assert_close(fused[0], alone[0])  # the first sample has no history
    assert all((fused[i] - alone[i]).abs().max() > 1e-3 for i in (1, 2))
    fused.square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.fusion.parameters())


def test_the_same_frame_twice_in_a_batch(make_model, batch) -> None:
    """Samples are encoded one by one, whatever unique frames the batch shares."""
    model = stacked(make_model().eval())
    twice = {k: v[[1, 1]] if torch.is_tensor(v) and len(v) == 3 and k != "camera" else v for k, v in batch.items()}
    plans = model.plan({**twice, "lidar": batch["lidar"]})["trajectory"]
    torch.testing.assert_close(plans[0], plans[1])
    torch.testing.assert_close(plans[0], model.plan(batch)["trajectory"][1], atol=1e-4, rtol=0)


def test_what_the_criteria_are_shown(micro, make_model, batch) -> None:
    anchors = make_model().trajectory_anchors.numpy()
    module = LitPlanner(micro.to_dict(), {"name": "lidar_stack", "num_frames": T}, anchors=anchors)
    assert module.raw_history
    assert not LitPlanner(micro.to_dict(), {"name": "convgru", "num_frames": T}, anchors=anchors).raw_history
    assert module.shape_contract("train")["batch.lidar_stack"] == f"B {T} 1 128 128 uint8"
    occupied = (batch["lidar_stack"] > 0).float()
    moved, mask = module.warp_history(occupied, batch)
    assert torch.allclose(moved[1:], occupied[1:], atol=1e-3)  # the poses that the data went by: as they are
    assert bool(mask[1:].all())
    assert not bool(mask[0, :-1].any())
    # Another pose moves them on: half as far back puts them as much further ahead.
    falsified = {**batch, "pose": batch["pose"] * torch.tensor([0.5, 1.0, 1.0])}
    moved, mask = module.warp_history(occupied, falsified)
    grid = module.model.config.lidar_grid
    x, y, heading = batch["pose"][1, 0].double()
    cos, sin = heading.cos(), heading.sin()
    inverse = torch.stack((-(cos * x + sin * y), sin * x - cos * y, -heading))
    turn = torch.stack((0.5 * x + cos * inverse[0] - sin * inverse[1], y + sin * inverse[0] + cos * inverse[1], 0 * x))
    expected, expected_mask = warp_with_mask(occupied[1, :1], turn[None], grid)
    torch.testing.assert_close(moved[1, 0], expected[0], atol=1e-4, rtol=0)
    assert torch.equal(mask[1, 0], expected_mask[0])


def test_it_cannot_be_streamed_or_go_without_its_stack(make_model, make_batch) -> None:
    model = stacked(make_model().eval())
    with pytest.raises(UserError, match="at level 'points'"):
        StreamingPlanner(model)
    with pytest.raises(UserError, match="before there are maps"):
        model.stage_maps(*(torch.zeros(1),) * 2)
    with pytest.raises(ValueError, match="no lidar_stack"):
        model.plan(make_batch(samples=2, window=T))
