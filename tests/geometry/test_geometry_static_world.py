"""A static world stands still after a right warp, and after no wrong one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mutants import MUTANTS, correct, no_warp
from static_world import drives, error_limit, static_world_error, visible

from wotempo.geometry import BACKBONE_BEV, LIDAR_HISTOGRAM, BevGrid, relative_to
from wotempo.geometry.warp import warp_with_mask

MAP_64 = BACKBONE_BEV.with_shape(64, 64)
GRIDS = {
    "8x8": BACKBONE_BEV,
    "16x16": BACKBONE_BEV.with_shape(16, 16),
    "64x64": MAP_64,
    "histogram": LIDAR_HISTOGRAM,
    "front half": BevGrid(0.0, 32.0, -32.0, 32.0, 32, 64),
    "oblong cells off centre": BevGrid(-16.0, 48.0, -20.0, 28.0, 96, 60),
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_static_world_stands_still(grid: BevGrid) -> None:
    assert static_world_error(correct, grid, drives(3)).max() < error_limit(grid)


def test_warp_beats_no_warp_fiftyfold() -> None:
    still, moving = (static_world_error(warp, MAP_64, drives(4)) for warp in (correct, no_warp))
    assert (moving / still).min() > 50


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_wrong_warp_is_rejected(mutant) -> None:
    # Threefold: each mistake is far beyond the limit, so that no luck with the poses decides.
    assert static_world_error(mutant, MAP_64, drives(6)).max() > 3 * error_limit(MAP_64)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_mask_is_what_history_shows(grid: BevGrid) -> None:
    for drive in drives(5, seed=1):
        pose = relative_to(drive[-1], drive[:-1])
        _, mask = warp_with_mask(torch.zeros(3, 1, *grid.shape), torch.from_numpy(pose).float(), grid)
        expected = np.stack([visible(grid, p) for p in pose])
        assert (mask[:, 0].numpy() != expected).mean() < 1e-3  # cells whose taps touch the border within rounding


def test_renormalised_mask_is_wider_and_still_right() -> None:
    """Cells that history half shows: at the border the value is extrapolated by at most half a cell."""
    pose = torch.tensor([[-5.0, 1.0, 0.1]])
    plane = torch.full((1, 1, 8, 8), 3.0)
    strict, mask = warp_with_mask(plane, pose, BACKBONE_BEV)
    wide, wide_mask = warp_with_mask(plane, pose, BACKBONE_BEV, renormalise=True)
    assert mask.sum() < wide_mask.sum()
    assert bool((wide_mask | ~mask).all())
    assert torch.allclose(wide[wide_mask], torch.tensor(3.0))
    assert bool((wide[~wide_mask] == 0).all())
    assert bool((strict[~mask] == 0).all())
