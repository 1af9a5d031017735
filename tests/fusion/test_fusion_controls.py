"""What each control does to a window, and that it does it to every stage."""

from __future__ import annotations

import pytest
import torch
from fusion_windows import CHANNELS, GRID, window
from properties import random
from property_table import build

from wotempo.errors import UserError
from wotempo.fusion import STAGES, build_fusion
from wotempo.fusion.controls.controls import CONTROLS
from wotempo.geometry import BACKBONE_BEV, inverse

WINDOWED = [name for name in STAGES if name != "none"]
ALTERING = list(CONTROLS)


@pytest.mark.parametrize("control", ALTERING)
@pytest.mark.parametrize("name", WINDOWED)
def test_stage_on_the_altered_window(name: str, control: str) -> None:
    if name == "lidar_stack" and control in ("no_warp", "wrong_pose", "pose_only"):
        with pytest.raises(UserError, match=f"'{control}'.*'lidar_stack' is given points that were moved"):
            build(f"{name} control={control}")
        return
    stage, w = random(build(f"{name} control={control}")), window()
    assert torch.equal(stage(*w.args()), stage.stage(*CONTROLS[control](*w.args())))
    assert set(stage.state_dict()) == set(build(name).state_dict())  # a trained stage can be looked at under a control
    plain = build(name)
    plain.load_state_dict(stage.state_dict())
    assert torch.equal(plain(*w.args()), stage.stage(*w.args()))


def test_repeat_current_is_the_current_frame_thrice() -> None:
    w = window()
    bev, pose, dt, valid = CONTROLS["repeat_current"](*w.args())
    assert all(torch.equal(bev[:, t], w.bev[:, -1]) for t in range(4))
    assert not bool(pose.any())
    assert torch.equal(dt, w.dt)
    assert torch.equal(valid, w.valid)


def test_shuffle_keeps_frames_with_their_poses() -> None:
    w = window(batch=64)
    bev, pose, _, valid = CONTROLS["shuffle_history"](*w.args())
    orders = (bev[:, :, None] == w.bev[:, None]).flatten(3).all(-1).long().argmax(2)  # (B, T)
    assert torch.equal(orders[:, -1], torch.full((64,), 3))
    assert torch.equal(orders.sort(1).values, torch.arange(4).expand(64, -1))
    assert len({tuple(row) for row in orders.tolist()}) == 6  # all orders of three frames occur
    sample = torch.arange(64)[:, None]
    assert torch.equal(pose, w.pose[sample, orders])
    assert torch.equal(valid, w.valid[sample, orders])


def test_stale_history_is_the_neighbours() -> None:
    w = window()
    w.valid[0, 1] = False
    bev, pose, dt, valid = CONTROLS["stale_history"](*w.args())
    for new, old in ((bev, w.bev), (pose, w.pose), (dt, w.dt), (valid, w.valid)):
        assert torch.equal(new[:, -1], old[:, -1])
        assert all(torch.equal(new[b, :-1], old[b - 1, :-1]) for b in range(3))


def test_stale_history_says_when_there_is_no_neighbour() -> None:
    w = window(batch=1)
    with pytest.warns(UserWarning, match="alone in its batch"):
        valid = CONTROLS["stale_history"](*w.args())[3]
    assert valid.tolist() == [[False, False, False, True]]


def test_wrong_pose_runs_backwards() -> None:
    w = window()
    assert torch.equal(CONTROLS["wrong_pose"](*w.args())[1], inverse(w.pose))


def test_pose_only_tells_where_and_nothing_else() -> None:
    w, other = window(), window(seed=3)
    mixed = w.with_(bev=torch.cat((other.bev[:, :-1], w.bev[:, -1:]), 1))
    bev, pose, _, _ = CONTROLS["pose_only"](*w.args())
    assert torch.equal(bev, CONTROLS["pose_only"](*mixed.args())[0])
    assert torch.equal(pose, w.pose)
    assert float(bev[:, :-1].var((3, 4)).max()) < 1e-20


@pytest.mark.parametrize("name", ["concat", "convgru", "attention"])
def test_single_frame_wide_matches_the_parameters(name: str) -> None:
    with torch.device("meta"):
        counts = [
            sum(p.numel() for p in build_fusion(name, 512, BACKBONE_BEV, control=control).parameters())
            for control in (None, "single_frame_wide")
        ]
    assert abs(counts[1] / counts[0] - 1) < 0.005


def test_single_frame_wide_reads_the_current_frame_alone() -> None:
    stage, w = random(build("convgru control=single_frame_wide")), window()
    nothing = w.bev.clone()
    nothing[:, :-1] = float("nan")
    fused = stage(*w.args())
    assert torch.equal(stage(nothing, w.pose * float("nan"), w.dt, w.valid), fused)
    assert not torch.equal(fused, w.bev[:, -1])


def test_reasons_name_the_control() -> None:
    for control in ("single_frame_wide", *CONTROLS):
        stage = build_fusion("convgru", CHANNELS, GRID, control=control, frame_dropout=0.5)
        assert stage.unjudged
        assert all(control in reason for reason in stage.unjudged.values())
    assert not build_fusion("convgru", CHANNELS, GRID).unjudged
