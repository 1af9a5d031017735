"""Dropout, and its draws that trajectories have in common."""

from __future__ import annotations

import torch

from wotempo.planners.backbone.dropout import dropout
from wotempo.planners.backbone.encoder import transformer_encoder
from wotempo.planners.wote.action import inject
from wotempo.planners.wote.shared_layer import shared_first_layer


def test_a_share_p_is_zeroed_and_the_mean_kept():
    torch.manual_seed(0)
    x = torch.full((1001, 999), 2.0, requires_grad=True)
    y = dropout(x, 0.1)
    zero = y == 0
    assert abs(zero.float().mean() - 0.1) < 0.002
    assert (zero.float().mean(0) < 0.2).all()
    assert (zero[1:] & zero[:-1]).float().mean() < 0.012, "neighbours are dropped together"
    torch.testing.assert_close(y[~zero], torch.full_like(y[~zero], 2 / 0.9), rtol=1e-4, atol=0)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach() / 2)
    assert dropout(x, 0.0) is x


def test_the_generator_decides():
    torch.manual_seed(4)
    first = dropout(torch.ones(100), 0.5)
    torch.manual_seed(4)
    assert torch.equal(dropout(torch.ones(100), 0.5), first)


def test_each_trajectory_sees_the_noise_that_it_would_see_alone():
    """What is common draws once for all; for one trajectory mean and spread are those of torch's own layer."""
    torch.manual_seed(1)
    draws, n, cells, d = 12000, 2, (1, 3), 8
    layer = transformer_encoder(d, 2, 12, 1, 0.3).layers[0].train()
    position, scene, action = torch.randn(6, d), torch.randn(1, 5, d), torch.randn(1, n, d) * 2
    now = torch.zeros(5)
    now[[1, 3]] = torch.tensor([0.7, 0.3])
    tokens = torch.cat((action[:, :, None], inject(scene[:, None], action, now)), 2) + position
    with torch.no_grad():
        expected = layer(tokens.expand(draws, -1, -1, -1).flatten(0, 1)).unflatten(0, (draws, n))
        many = (scene.expand(draws, -1, -1), action.expand(draws, -1, -1))
        found = shared_first_layer(layer, *many, position, cells, now)
    error = expected.std(0) / draws**0.5
    assert ((found.mean(0) - expected.mean(0)).abs() < 6 * error).all()
    torch.testing.assert_close(found.std(0), expected.std(0), rtol=0.06, atol=0)
