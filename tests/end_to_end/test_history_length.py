"""Longer and strided histories the whole way: training with its criteria, evaluation, and driving frame by frame."""

from __future__ import annotations

import pytest
import torch
from test_drive import drive
from test_evaluate import evaluate
from verdicts import statuses

from wotempo.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
SMOKE = ("experiment=convgru_1epoch", "profile=smoke", "trainer.max_epochs=1")
ABOUT_HISTORY = ("shapes", "history", "ego_motion", "warp_gain")


@pytest.mark.parametrize(("frames", "stride"), [(8, 1), (2, 2)])
def test_a_history_is_trained_evaluated_and_driven_as_long_as_it_was_chosen(
    frames, stride, train, workspace, tmp_path, capsys
):
    code, verdict = train(
        *SMOKE,
        "trainer.limit_train_batches=8",
        f"fusion.num_frames={frames}",
        f"fusion.frame_stride={stride}",
    )
    assert code == 0, verdict
    found = statuses(verdict)
    assert {found[name] for name in ABOUT_HISTORY} <= {"pass", "inconclusive"}
    assert found["shapes"] == found["history"] == "pass"
    path = verdict["run_dir"] / "checkpoints" / "last.ckpt"
    stored = torch.load(path, weights_only=True)["hyper_parameters"]["fusion"]
    assert (stored["num_frames"], stored["frame_stride"]) == (frames, stride)

    drivers = evaluate(tmp_path / "evaluated", workspace, f"checkpoint={path}", "baselines=[]")
    assert drivers["model"]["ade"] > 0
    capsys.readouterr()
    assert drive(tmp_path / "driven", workspace, f"checkpoint={path}") == 0
    out = capsys.readouterr().out
    assert f"windows of {frames} frames" in out
    assert "streamed and windowed plans: equal" in out


def test_a_stack_of_points_is_trained_and_evaluated(train, workspace, tmp_path):
    code, verdict = train(*SMOKE, "fusion=lidar_stack", "trainer.limit_train_batches=10")
    assert code == 0, verdict
    found = statuses(verdict)
    assert {found[name] for name in (*ABOUT_HISTORY, "gradient_flow")} <= {"pass", "inconclusive"}, found
    assert found["shapes"] == found["history"] == found["gradient_flow"] == "pass"
    path = verdict["run_dir"] / "checkpoints" / "last.ckpt"
    drivers = evaluate(tmp_path / "evaluated", workspace, f"checkpoint={path}", "baselines=[]")
    assert drivers["model"]["ade"] > 0
    with pytest.raises(UserError, match="at level 'points'"):
        drive(tmp_path / "driven", workspace, f"checkpoint={path}")


def test_a_history_that_the_logs_do_not_hold_is_refused(train):
    with pytest.raises(UserError, match=r"fusion\.num_frames is 16 .*no scene of train has more than 14 "):
        train(*SMOKE, "fusion.num_frames=16")


def test_full_history_only_keeps_whole_windows(train):
    _, whole = train(*SMOKE, "data.full_history_only=true", "fusion.num_frames=4", "fusion.frame_stride=3")
    _, default = train(*SMOKE, "data.full_history_only=true")
    scenes = [verdict["facts"]["scenes"]["train"] for verdict in (whole, default)]
    assert scenes[0] < scenes[1]
    assert statuses(whole)["history"] == "pass"
