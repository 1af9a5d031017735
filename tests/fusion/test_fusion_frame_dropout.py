"""Frames missing at random in training."""

from __future__ import annotations

import pytest
import torch
from fusion_windows import window
from properties import random
from property_table import build

from wotempo.fusion import STAGES


@pytest.mark.parametrize("name", [name for name in STAGES if name != "none"])
def test_training_equals_the_stage_on_the_kept_frames(name: str) -> None:
    stage, w = random(build(f"{name} frame_dropout=0.5")).train(), window(batch=6)
    w.valid[0, 1] = False
    torch.manual_seed(1)
    fused = stage(*w.args())
    kept = stage.kept
    assert bool(kept[:, -1].all())  # the current frame always
    assert not bool((kept & ~w.valid).any())
    assert not torch.equal(kept, w.valid)
    assert torch.equal(fused, stage.stage(w.bev, w.pose, w.dt, kept))
    assert torch.equal(stage.eval()(*w.args()), stage.stage(*w.args()))


def test_share_of_dropped_frames() -> None:
    stage, w = build("mean frame_dropout=0.25").train(), window(batch=2)
    torch.manual_seed(0)
    dropped = torch.stack([1 - (stage(*w.args()), stage.kept[:, :-1].double().mean())[1] for _ in range(300)])
    assert abs(float(dropped.mean()) - 0.25) < 0.03
