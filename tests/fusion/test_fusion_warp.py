"""The stage's own warp: right, and the only one it uses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fusion_windows import CHANNELS, GRID, window
from static_world import drives, error_limit, static_world_error

import wotempo.fusion.base as base
from wotempo.fusion import TemporalFusion
from wotempo.geometry import BevGrid, inverse, relative_to, warp_with_mask


def stage_warp(stage: TemporalFusion, own_raster: bool):
    """``warp_history`` as a warp of ``static_world``: the last map is the current one and does not matter here."""

    def warp(maps: torch.Tensor, poses: np.ndarray, grid: BevGrid) -> torch.Tensor:
        bev = torch.cat((maps, torch.zeros_like(maps[:1])))[None]
        pose = torch.from_numpy(relative_to(poses[-1], poses)).float()[None]
        valid = torch.ones(1, len(poses), dtype=torch.bool)
        aligned, _ = stage.warp_history(bev, pose, valid, *([] if own_raster else [grid]))
        return aligned[0, :-1]

    return warp


@pytest.mark.parametrize("factor", [1, 4])
def test_static_world_stands_still(stage: TemporalFusion, factor: int) -> None:
    """Maps with other channels than the stage's, at its own resolution and at a finer one (a LiDAR histogram's way)."""
    stage.renormalise = False  # the strict mask is what the limit is about
    grid = GRID.with_shape(GRID.rows * factor, GRID.cols * factor)
    error = static_world_error(stage_warp(stage, own_raster=factor == 1), grid, drives(4))
    assert error.max() < error_limit(grid)


def test_check_of_the_method_sees_a_fault_in_the_code_it_shares(stage: TemporalFusion, monkeypatch) -> None:
    def backwards(maps: torch.Tensor, pose: torch.Tensor, *args, **options):
        return warp_with_mask(maps, inverse(pose), *args, **options)

    monkeypatch.setattr(base, "warp_with_mask", backwards)
    grid = GRID.with_shape(80, 48)
    assert static_world_error(stage_warp(stage, False), grid, drives(2)).max() > 20 * error_limit(grid)


def test_forward_has_no_other_warp(stage: TemporalFusion, monkeypatch) -> None:
    """What ``warp_history`` returns is all that a stage knows of the past."""
    w = window()
    fused = stage(*w.args())
    aligned, mask = stage.warp_history(w.bev, w.pose, w.valid)
    monkeypatch.setattr(stage, "warp_history", lambda bev, pose, valid: (aligned, mask))
    nothing = w.bev.clone()
    nothing[:, :-1] = float("nan")
    assert torch.equal(stage(nothing, torch.full_like(w.pose, 7.0), w.dt, w.valid), fused)
    monkeypatch.setattr(stage, "warp_history", lambda bev, pose, valid: (aligned, mask & False))
    assert torch.equal(stage(*w.args()), w.bev[:, -1])


def test_mask_and_zeros(stage: TemporalFusion) -> None:
    w = window()
    w.valid[0, 1] = False
    aligned, mask = stage.warp_history(w.bev, w.pose, w.valid)
    assert aligned.shape == w.bev.shape
    assert mask.shape == (*w.valid.shape, 1, *GRID.shape)
    assert mask.dtype is torch.bool
    assert bool((aligned.masked_fill(mask, 0.0)[:, :-1] == 0).all())
    assert not bool(mask[0, 1].any())
    assert bool(mask[:, -1].all())
    assert torch.equal(aligned[:, -1], w.bev[:, -1])  # untouched, bit for bit: no identity warp
    # The warp of each frame by itself.
    for b, t in ((1, 0), (2, 2)):
        alone, alone_mask = warp_with_mask(w.bev[b, t, None], w.pose[b, t, None], GRID, stage.renormalise)
        assert torch.equal(mask[b, t], alone_mask[0])
        assert torch.allclose(aligned[b, t], alone[0], atol=1e-12)


def test_map_of_another_raster_is_refused(stage: TemporalFusion) -> None:
    w = window()
    with pytest.raises(ValueError, match="cells"):
        stage.warp_history(w.bev.new_zeros(3, 4, CHANNELS, 8, 8), w.pose, w.valid)
