"""The suite must notice every known mistake: warps of the bug zoo put into a stage, and stages that are built wrong."""

from __future__ import annotations

import pytest
import torch
from fusion_mutants import FAULTS, faulty
from mutants import MUTANTS, correct
from property_table import PROPERTIES, build

from wotempo.fusion.base import TemporalFusion
from wotempo.geometry import compose

HERE = torch.tensor([391_000.0, 4_820_000.0, 2.1], dtype=torch.float64)  # where the current frame is, globally
WARPS = ("whole cells", "static world", "there and back", "points and boxes", "poses matter", "order")


def wrong_warp_history(mutant):
    """``warp_history`` by a warp of the zoo; its mask is what that warp makes of a plane of ones."""

    def warp_history(self, bev, pose, valid, grid=None):
        grid, aligned, masks = grid or self.grid, [], []
        for maps, poses, there in zip(bev, pose, valid, strict=True):
            drive = compose(HERE, torch.cat((poses[:-1].double(), torch.zeros(1, 3, dtype=torch.float64)))).numpy()
            past = maps[:-1].masked_fill(~there[:-1, None, None, None], 0.0).float()
            mask = (mutant(torch.ones_like(past[:, :1]), drive, grid) > 1 - 1e-4) & there[:-1, None, None, None]
            aligned.append(torch.cat(((mutant(past, drive, grid) * mask).to(bev.dtype), maps[-1:])))
            masks.append(torch.cat((mask, there[-1].expand(1, 1, *grid.shape))))
        return torch.stack(aligned), torch.stack(masks)

    return warp_history


def broken(name: str, stage: TemporalFusion) -> bool:
    try:
        PROPERTIES[name](stage)
    except AssertionError:
        return True
    return False


def test_the_right_warp_passes_in_the_same_clothes(monkeypatch) -> None:
    monkeypatch.setattr(TemporalFusion, "warp_history", wrong_warp_history(correct))
    assert not [name for name in WARPS if broken(name, build("convgru"))]


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_wrong_warp_is_noticed(mutant, monkeypatch) -> None:
    monkeypatch.setattr(TemporalFusion, "warp_history", wrong_warp_history(mutant))
    assert broken("static world", build("convgru"))


@pytest.mark.parametrize(("fault", "name"), FAULTS.items(), ids=lambda x: getattr(x, "__name__", ""))
@pytest.mark.parametrize("stage", ["concat", "convgru", "attention"])
def test_faulty_stage_is_noticed(stage: str, fault, name: str) -> None:
    assert not broken(name, build(stage))
    assert broken(name, faulty(build(stage), fault))
