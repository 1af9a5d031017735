"""Where an action is written into the map."""

from __future__ import annotations

import math

import pytest
import torch

from wotempo.geometry import BACKBONE_BEV
from wotempo.planners.wote.action import inject, splat_weights


def by_rule(x: float, y: float) -> torch.Tensor:
    """WoTE's rule, corner by corner: 4 m rows from the ego forward, 8 m columns, indices without a half-cell shift."""
    h, w = x * 8 / 32, y * 8 / 64 + 4
    h0, w0 = math.floor(h), math.floor(w)
    grid = torch.zeros(8, 8)
    for row, col, share in (
        (h0, w0, (1 - h + h0) * (1 - w + w0)),
        (h0, w0 + 1, (1 - h + h0) * (w - w0)),
        (h0 + 1, w0, (h - h0) * (1 - w + w0)),
        (h0 + 1, w0 + 1, (h - h0) * (w - w0)),
    ):
        if 0 <= row < 8 and 0 <= col < 8:
            grid[row, col] += share
    return grid.flatten()


def test_compat_is_the_published_rule():
    g = torch.Generator().manual_seed(0)
    special = torch.tensor([[0.0, 0], [28, 24], [4, -32], [31.9, 31.9]])
    points = torch.cat((torch.rand(300, 2, generator=g) * 100 - 50, special))
    expected = torch.stack([by_rule(*point.tolist()) for point in points])
    torch.testing.assert_close(splat_weights(points, BACKBONE_BEV, "compat"), expected, rtol=1e-4, atol=1e-5)


def test_compat_puts_the_ego_into_token_4_alone():
    assert splat_weights(torch.zeros(2), BACKBONE_BEV, "compat").nonzero().tolist() == [[4]]


def test_fixed_shares_the_ego_between_the_four_cells_around_it():
    weights = splat_weights(torch.zeros(2), BACKBONE_BEV, "fixed").unflatten(0, (8, 8))
    assert weights[3:5, 3:5].flatten().tolist() == [0.25] * 4
    assert weights.sum() == 1


def test_fixed_keeps_the_centre_of_mass_where_the_point_is():
    """In metres, for every point that lies between cell centres."""
    points = torch.rand(200, 2, generator=torch.Generator().manual_seed(1)) * 56 - 28
    weights = splat_weights(points, BACKBONE_BEV, "fixed")
    rows, cols = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    x, y = BACKBONE_BEV.to_metres(rows.flatten(), cols.flatten())
    torch.testing.assert_close(weights.sum(-1), torch.ones(200))
    torch.testing.assert_close(torch.stack((weights @ x, weights @ y), -1), points, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("mode", ["compat", "fixed"])
def test_what_lies_outside_is_lost(mode):
    far = torch.tensor([[41.0, 0], [0, 41], [0, -41], [-41, 0]])
    assert not splat_weights(far, BACKBONE_BEV, mode).any()


def test_inject_adds_each_action_with_its_weight():
    tokens, action = torch.randn(2, 1, 64, 5), torch.randn(2, 3, 5)
    weights = torch.rand(3, 64)
    result = inject(tokens, action, weights)
    assert result.shape == (2, 3, 64, 5)
    torch.testing.assert_close(result[1, 2, 7], tokens[1, 0, 7] + weights[2, 7] * action[1, 2])
    same_for_all = inject(tokens, action, weights[0])
    torch.testing.assert_close(same_for_all[1, 2, 7], tokens[1, 0, 7] + weights[0, 7] * action[1, 2])
