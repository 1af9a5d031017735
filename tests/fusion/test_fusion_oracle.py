"""The oracle control: what it draws, and that it starts as the stage that it wraps."""

from __future__ import annotations

import pytest
import torch
from fusion_windows import CHANNELS, randomise, window

from wotempo.errors import UserError
from wotempo.fusion import build_fusion
from wotempo.fusion.controls.oracle_velocity import OracleVelocity
from wotempo.geometry import BACKBONE_BEV


def oracle(name: str = "none", control: str = "oracle_velocity", **options) -> OracleVelocity:
    stage = build_fusion(name, CHANNELS, BACKBONE_BEV, control=control, **options)
    assert isinstance(stage, OracleVelocity)
    return stage


def agents(*rows: tuple[float, ...]) -> torch.Tensor:
    motion = torch.zeros(1, 6, 5)
    for i, row in enumerate(rows):
        motion[0, i] = torch.tensor([*row, 1.0])
    return motion


def test_drawing_puts_mean_velocities_where_agents_stand():
    drawn = oracle().drawing(agents((0.5, -31.5, 10.0, -5.0), (10.1, 4.1, 4.0, 0.0), (10.9, 5.9, 0.0, 8.0)))
    assert drawn.shape == (1, 3, 32, 32)  # 2 m cells
    torch.testing.assert_close(drawn[0, :, 16, 0], torch.tensor([1.0, 1.0, -0.5]))
    torch.testing.assert_close(drawn[0, :, 21, 18], torch.tensor([2.0, 0.2, 0.4]))
    drawn[0, :, 16, 0] = drawn[0, :, 21, 18] = 0.0
    assert not drawn.any()


def test_positions_alone():
    drawn = oracle(control="oracle_position").drawing(agents((0.5, -31.5, 10.0, -5.0)))
    torch.testing.assert_close(drawn[0, :, 16, 0], torch.tensor([1.0, 0.0, 0.0]))


def test_absent_and_far_agents_draw_nothing():
    motion = agents((40.0, 0.0, 5.0, 5.0))
    motion[0, 1, :4] = torch.tensor([3.0, 3.0, 9.0, 9.0])  # not present
    assert not oracle().drawing(motion).any()


def test_starts_as_its_stage_and_ends_knowing_velocities():
    stage = oracle()
    fused = torch.randn(1, CHANNELS, 8, 8)
    assert torch.equal(stage.reveal(fused, agents((5.0, 0.0, 3.0, 0.0))), fused)
    randomise(stage)
    still, moving = (stage.reveal(fused, agents((5.0, 0.0, v, 0.0))) for v in (0.0, 9.0))
    changed = (still != moving).any(1)[0]
    assert changed.any()
    assert not changed[:2].any()  # far from the agent nothing depends on it


def test_windows_go_through_the_stage_untouched():
    stage, plain = oracle("convgru"), build_fusion("convgru", CHANNELS, BACKBONE_BEV)
    plain.load_state_dict(stage.stage.state_dict())
    torch.manual_seed(0)
    w = window()
    bev = torch.randn(*w.bev.shape[:3], 8, 8)
    assert torch.equal(stage(bev, w.pose.float(), w.dt.float(), w.valid), plain(bev, w.pose.float(), w.dt, w.valid))


def test_not_on_points():
    with pytest.raises(UserError, match="works on points"):
        oracle("lidar_stack", level="points")
