"""Map layout, world model, reward convolution, score and the ranges of the head outputs."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from wotempo.geometry import BACKBONE_BEV, SEMANTIC_FRONT
from wotempo.planners.config import sizes
from wotempo.planners.heads.agents import AgentHead
from wotempo.planners.heads.bev_map import to_map
from wotempo.planners.wote.offset import OffsetHead
from wotempo.planners.wote.reward import RewardConvNet, final_score

PUBLISHED = sizes("wote").reward_weights


def metres(grid) -> torch.Tensor:
    """(1, 2, rows, cols): x and y of every cell centre."""
    rows, cols = torch.meshgrid(torch.arange(float(grid.rows)), torch.arange(float(grid.cols)), indexing="ij")
    return torch.stack(grid.to_metres(rows, cols))[None]


def test_the_fixed_map_shows_every_place_where_it_is():
    shown = to_map(metres(BACKBONE_BEV.with_shape(64, 64)), BACKBONE_BEV, SEMANTIC_FRONT, "fixed")
    inside = slice(2, -2)  # the rim is extrapolated by half a coarse cell
    truth = metres(SEMANTIC_FRONT)
    torch.testing.assert_close(shown[..., inside, inside], truth[..., inside, inside], atol=1e-4, rtol=0)


def test_the_compat_map_stretches_all_rows_over_the_front():
    shown = to_map(metres(BACKBONE_BEV.with_shape(64, 64)), BACKBONE_BEV, SEMANTIC_FRONT, "compat")
    truth = metres(SEMANTIC_FRONT)
    inside = slice(2, -2)
    torch.testing.assert_close(shown[:, 0, inside], 2 * truth[:, 0, inside] - 32, atol=1e-3, rtol=0)
    torch.testing.assert_close(shown[:, 1, :, inside], truth[:, 1, :, inside], atol=1e-3, rtol=0)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_reward_convolution_is_that_of_the_stacked_maps(steps):
    """The part that trajectories share is computed once; the result must be that of WoTE's concatenation."""
    torch.manual_seed(0)
    net = RewardConvNet((steps + 1) * 6, 6).double()
    scene, action, splat = torch.randn(2, 6, 8, 8), torch.randn(2, 5, 6), torch.zeros(8, 8)
    splat[3:5, 6:8] = torch.tensor([[0.1, 0.2], [0.3, 0.4]])  # at the rim, where padding matters
    futures = torch.randn(2, 5, steps * 6, 8, 8)
    scene, action, splat, futures = scene.double(), action.double(), splat.double(), futures.double()

    present = scene[:, None] + action[..., None, None] * splat
    stacked = torch.cat((present, futures), 2).flatten(0, 1)
    x = F.relu(net.bn1(net.conv1(stacked)))
    expected = F.relu(net.bn2(net.conv2(x))).mean((-2, -1)).unflatten(0, (2, 5))
    torch.testing.assert_close(net(scene, action, splat, (30, 31, 38, 39), futures), expected)


def test_the_score_is_the_published_formula_and_survives_underflow():
    g = torch.Generator().manual_seed(0)
    im, sim = torch.randn(3, 7, generator=g), torch.randn(3, 5, 7, generator=g) * 2
    nc, dac, ep, ttc, comfort = sim.sigmoid().unbind(1)
    by_formula = 0.1 * im.softmax(-1).log() + 0.5 * nc.log() + 0.5 * dac.log() + (5 * ttc + 2 * comfort + 5 * ep).log()
    torch.testing.assert_close(final_score(im, sim, PUBLISHED), by_formula)
    torch.testing.assert_close(final_score(im, sim, (1.0, 0.0, 0.0, 0.0)), im.softmax(-1).log())
    collision = sim.clone()
    collision[:, 0] = -200.0  # a probability that float32 rounds to 0
    score = final_score(im, collision, PUBLISHED)
    assert score.isfinite().all()
    torch.testing.assert_close(score, by_formula - 0.5 * nc.log() - 100, rtol=1e-3, atol=1e-2)


def test_angles_and_positions_stay_in_range():
    torch.manual_seed(0)
    offset = OffsetHead(6, 8, 8)(torch.randn(2, 3, 6) * 100)
    assert offset.shape == (2, 3, 8, 3)
    assert offset[..., 2].abs().max() <= math.pi + 1e-6
    assert offset[..., :2].abs().max() > 4
    states, logits = AgentHead(6, 8, BACKBONE_BEV)(torch.randn(2, 3, 6) * 1000)
    assert (states.shape, logits.shape) == ((2, 3, 5), (2, 3))
    assert states[..., :2].abs().max() == 32
    assert states[..., 2].abs().max() <= math.pi + 1e-6
