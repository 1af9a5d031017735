"""What lies along a trajectory, and the planner that reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from defaults import loss_weights

from wotempo.errors import UserError
from wotempo.fusion import build_fusion
from wotempo.geometry import SEMANTIC_FRONT
from wotempo.planners.heads.forecast import Agents
from wotempo.planners.wote.along_path import meetings, off_road
from wotempo.planners.wote.wote import WoTE

STEPS = torch.arange(1, 9) / 2
STRAIGHT = torch.stack((8 * STEPS, 0 * STEPS, 0 * STEPS), -1)[None, None]  # (1, 1, 8, 3): 8 m/s ahead


def one(x: float, y: float, vx: float = 0.0, vy: float = 0.0, heading: float = 0.0, presence: float = 1.0) -> Agents:
    """A car of 4 × 2 m."""
    turn = torch.tensor(heading)
    return Agents(
        torch.tensor([[presence]]),
        torch.stack((x + vx * torch.arange(9) / 2, y + vy * torch.arange(9) / 2), -1)[None, None],
        torch.stack((turn.cos(), turn.sin()))[None, None],
        torch.tensor([[[4.0, 2.0]]]),
    )


def met(path: torch.Tensor, agents: Agents, speed: float = 8.0) -> torch.Tensor:
    """Looks at the eight poses of a path (1, 1, 8, 3) -> (8, 4)."""
    return meetings(path, torch.full(path.shape[:3], speed), agents, torch.arange(1.0, 9.0))[0, 0]


def test_a_car_on_the_path_is_touched_when_it_is_reached():
    touch, driving, front, ahead = met(STRAIGHT, one(18.5, 0.0)).unbind(-1)
    # Bumpers: the ego's reaches 4.05 m beyond its rear axle and 1.13 m behind, the car from 16.5 to 20.5 m.
    assert (touch > 0.1).tolist() == [False, False, False, True, True, False, False, False]
    torch.testing.assert_close(driving, touch)
    assert (front > 0.5).tolist() == [False, False, False, True, False, False, False, False]
    assert (ahead > 0.5).tolist() == [False, True, True, True, False, False, False, False]


def test_who_stands_is_not_at_fault():
    touch, driving, front, ahead = met(STRAIGHT, one(18.5, 0.0), speed=0.0).unbind(-1)
    assert float(touch.max()) > 0.9
    assert float(torch.stack((driving, front, ahead)).max()) < 0.2


def test_a_car_that_moves_is_met_where_it_will_be():
    crossing = one(20.0, -10.0, vy=5.0, heading=torch.pi / 2)  # at y = 0 after 2 s, when the ego's axle is at 16 m
    assert float(met(STRAIGHT, crossing)[3, 0]) > 0.85
    assert float(met(STRAIGHT, one(20.0, -10.0, heading=torch.pi / 2))[:, 0].max()) < 0.05
    leading = one(15.0, 0.0, vx=8.0)
    assert float(met(STRAIGHT, leading)[:, 0].max()) < 0.05
    assert float(met(STRAIGHT, leading)[:, 3].max()) < 0.05, "it goes on, too, when the ego goes straight on"


def test_who_moves_looks_where_it_goes():
    """A car of 4 × 2 m that stands across now and drives along the ego's lane beside it: its side is 1 m wide."""
    beside = one(0.0, 2.9, vx=8.0, heading=torch.pi / 2)
    assert float(met(STRAIGHT, beside)[:, 0].max()) < 0.05
    assert float(met(STRAIGHT, one(16.0, 2.9, heading=torch.pi / 2))[:, 0].max()) > 0.5, "2 m wide where it stands"


def test_the_ego_turns_with_its_heading():
    left = torch.stack((torch.full((8,), 5.0), 2 * STEPS, torch.full((8,), torch.pi / 2)), -1)[None, None]
    beside = one(5.0, 13.0)  # 13 m to the left: ahead of the turned ego
    touch, _, _, ahead = met(left, beside, speed=2.0).unbind(-1)
    assert float(touch[-1]) > 0.4
    assert float(touch[0]) < 0.01
    assert float(ahead[-2]) > 0.85


def test_presence_is_the_most_that_can_be_said_and_agents_add_up():
    half = one(18.0, 0.0, presence=0.5)
    both = Agents(*(torch.cat((a, a), 1) for a in half))
    single, double = (float(met(STRAIGHT, agents)[3, 0]) for agents in (half, both))
    assert single == pytest.approx(0.5, abs=0.02)
    assert double == pytest.approx(0.75, abs=0.03)


def test_off_road_is_what_lies_under_the_corners():
    road = torch.zeros(1, 8, *SEMANTIC_FRONT.with_shape(64, 128).shape)
    road[:, 1] = 20.0  # all road …
    road[:, :, :, :64] = 0.0
    road[:, 0, :, :64] = 20.0  # … but to the right of the ego: columns with y < 0
    grid = SEMANTIC_FRONT.with_shape(64, 128)
    path = torch.zeros(1, 3, 8, 3)
    path[..., 0] = 10.0
    path[0, :, :, 1] = torch.tensor([5.0, 0.0, -5.0])[:, None]
    greatest, mean = off_road(path, road, grid)[0, :, 0].unbind(-1)
    torch.testing.assert_close(greatest, torch.tensor([0.0, 1.0, 1.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(mean, torch.tensor([0.0, 0.5, 1.0]), atol=0.02, rtol=0)


@pytest.fixture
def reading(make_model, micro):
    """A planner that reads along paths, with its stage at that level."""

    def build(level: str = "bev8", stage: str = "convgru", control: str | None = None, **options) -> WoTE:
        config = replace(micro, path_scores=True, dropout=0.0, evaluate_refined=False, **options)
        channels, grid = config.level(level)
        torch.manual_seed(0)
        fusion = build_fusion(stage, channels, grid, 3, level=level, control=control)
        for parameter in fusion.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        model = WoTE(config, make_model().trajectory_anchors, fusion)
        model.load_state_dict(make_model().state_dict(), strict=False)
        return model

    return build


def with_agents(batch):
    torch.manual_seed(1)
    future = torch.rand(len(batch["valid"]), 64, 29) * 20
    future[..., 7::3] = 1.0
    return {**batch, "agent_future": future}


@pytest.mark.parametrize("level", ["bev8", "lidar3", "lidar2"])
def test_losses_reach_the_head_from_truth_and_from_scores(reading, make_batch, level):
    model, batch = reading(level).train(), with_agents(make_batch(samples=2, window=3))
    for weights in (loss_weights(forecast=1.0, sim_reward=0.0), loss_weights()):
        model.zero_grad()
        losses = model.losses(model(batch), batch, weights)
        assert ("forecast" in losses) == bool(weights.forecast)
        sum(losses.values()).backward()
        head = dict(model.forecast_head.named_parameters())
        assert all(p.grad is not None and bool(p.grad.any()) for p in head.values()), level
        reads = [p.grad for p in model.along_path.parameters()]
        assert all(g is not None and bool(g.any()) for g in reads) == bool(weights.sim_reward)


def test_the_forecast_without_a_head_is_refused(make_model, make_batch):
    model, batch = make_model(), make_batch(samples=1)
    with pytest.raises(UserError, match="path_scores=true"):
        model.losses(model(batch), batch, loss_weights(forecast=1.0))


def test_training_and_driving_score_the_anchors_alike(reading, make_batch):
    """The plan is the anchor itself, and its scores are those that training supervises."""
    model, batch = reading("lidar2", drive_refined=False).eval(), make_batch(samples=2, window=3)
    outputs, plan = model(batch), model.plan(batch)
    torch.testing.assert_close(outputs["sim_rewards"], plan["sim_rewards"])
    predicted = model.anchor_scores(plan["fused_bev"], batch["status"])
    torch.testing.assert_close(predicted, plan["sim_rewards"])
    best = plan["final_rewards"].argmax(-1)
    assert torch.equal(plan["trajectory"], model.trajectory_anchors[best])
    refined = reading("lidar2", drive_refined=True).eval()
    refined.load_state_dict(model.state_dict())
    assert not torch.equal(refined.plan(batch)["trajectory"], plan["trajectory"])


def test_each_score_has_its_own_logit_along_the_path(reading, make_batch):
    model, batch = reading().eval(), make_batch(samples=2, window=3)
    before = model.plan(batch)["sim_rewards"]
    for score in range(5):
        with torch.no_grad():
            model.along_path.scores[-1].bias[score] += 3.0
        changed = (model.plan(batch)["sim_rewards"] - before).abs().amax((0, 2)) > 1e-6
        assert changed.tolist() == [place <= score for place in range(5)]


def test_the_finer_map_of_the_stage_reaches_the_scores(reading, make_batch):
    """Folded into the fused map, and taken out again in its own order."""
    model, batch = reading("lidar2").eval(), make_batch(samples=2, window=3)
    fused, seen = model.fused(batch), []
    coarse, fine = model._unfolded(fused)
    assert fused.shape[1] == model.config.bev_channels + fine.shape[1] * model.unfolds**2
    model.fusion.register_forward_hook(lambda _, args, out: seen.append(out))
    model.fused(batch)
    assert torch.equal(fine, seen[0])
    assert coarse.shape[1:] == (model.config.bev_channels, *model.config.bev_shape)


@pytest.mark.parametrize("control", ["oracle_velocity", "oracle_position"])
def test_an_oracle_sits_at_any_level(reading, make_batch, control):
    model, batch = reading("lidar2", control=control).eval(), make_batch(samples=2, window=3)
    batch["agent_motion"] = torch.rand(2, 64, 5) * 10
    before = model.plan(batch)["sim_rewards"]
    batch["agent_motion"][..., 2:4] += 5.0
    assert torch.equal(model.plan(batch)["sim_rewards"], before) == (control == "oracle_position")


def test_history_by_lidar_alone_inside_the_backbone(reading, make_batch):
    """Cameras of the past change nothing, its LiDAR does, and a window does not depend on its neighbours."""
    model, batch = reading("lidar2", history_sensors="lidar").double().eval(), make_batch(samples=3, window=3)
    batch["valid"][:] = True
    together = model.plan(batch)["fused_bev"]
    one_window = {key: value[1:2] for key, value in batch.items() if key not in ("camera", "lidar")}
    alone = model.plan({**one_window, "camera": batch["camera"], "lidar": batch["lidar"]})["fused_bev"]
    torch.testing.assert_close(together[1:2], alone)
    rows = set(batch["frame_index"][1].tolist())
    past = sorted(rows - {int(batch["frame_index"][1, -1])})
    blind, deaf = batch["camera"].clone(), batch["lidar"].clone()
    blind[past], deaf[past] = 255, 0
    single = {**one_window, "lidar": batch["lidar"], "camera": blind}
    torch.testing.assert_close(model.plan(single)["fused_bev"], alone)
    assert not torch.allclose(model.plan({**single, "lidar": deaf})["fused_bev"], alone)
