"""The warp that all stages share."""

from __future__ import annotations

import pytest
import torch
from fusion_windows import CHANNELS, window
from property_table import PROPERTIES, build

import wotempo.fusion.base as base
from wotempo.fusion import POINTS, STAGES
from wotempo.geometry import inverse
from wotempo.geometry.warp import warp_with_mask

ALIGNING = [name for name, made in STAGES.items() if made.level != POINTS]  # the data aligns points


@pytest.mark.parametrize("name", ALIGNING)
def test_check_of_the_method_sees_a_fault_in_the_code_it_shares(name: str, monkeypatch) -> None:
    def backwards(maps: torch.Tensor, pose: torch.Tensor, *args, **options):
        return warp_with_mask(maps, inverse(pose), *args, **options)

    stage, w = build(name), window()
    before = stage.warp_history(w.bev, w.pose, w.valid)[0]
    monkeypatch.setattr(base, "warp_with_mask", backwards)
    assert not torch.equal(stage.warp_history(w.bev, w.pose, w.valid)[0], before)
    with pytest.raises(AssertionError):
        PROPERTIES["one step"](stage)


def test_the_carried_state_moves_by_the_shared_warp(monkeypatch) -> None:
    """``convgru_recurrent`` moves its state, and what ``warp_history`` shows, by ``warp``: once per frame each."""
    stage, w, calls = build("convgru_recurrent"), window(), []
    original = base.warp_with_mask
    monkeypatch.setattr(
        base, "warp_with_mask", lambda maps, *rest, **more: calls.append(1) or original(maps, *rest, **more)
    )
    stage(*w.args())
    assert len(calls) == 4
    stage.warp_history(w.bev, w.pose, w.valid)
    assert len(calls) > 4


@pytest.mark.parametrize("name", ALIGNING)
def test_map_of_another_raster_is_refused(name: str) -> None:
    w = window()
    with pytest.raises(ValueError, match="cells"):
        build(name).warp_history(w.bev.new_zeros(3, 4, CHANNELS, 8, 8), w.pose, w.valid)


@pytest.mark.parametrize("name", ["concat", "solo"])
def test_longer_window_than_built_for_is_refused(name: str) -> None:
    w = window()
    twice = (torch.cat((x, x), 1) for x in w.args())
    with pytest.raises(ValueError, match="built for 4"):
        build(name)(*twice)
