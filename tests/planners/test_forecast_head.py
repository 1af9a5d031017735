"""The forecast head: what it says of cells, what its loss asks, and that it can learn where agents go."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wotempo.geometry import LIDAR_HISTOGRAM
from wotempo.planners.heads.forecast import MOTION_M, STATE, ForecastHead

GRID = LIDAR_HISTOGRAM.with_shape(32, 32)


@pytest.fixture
def head() -> ForecastHead:
    torch.manual_seed(0)
    return ForecastHead(16, 8, 16, GRID, 8)


def truth(*agents: tuple[float, ...]) -> Tensor:
    """One sample of agents (x, y, heading, length, width, v_x, v_y), always known."""
    rows = torch.zeros(1, 64, 29)
    for i, (x, y, heading, length, width, vx, vy) in enumerate(agents):
        rows[0, i, :5] = torch.tensor([x, y, heading, length, width])
        steps = torch.arange(1, 9) / 2
        rows[0, i, 5:] = torch.stack((x + vx * steps, y + vy * steps, torch.ones(8)), -1).flatten()
    return rows


def perfect(rows: Tensor) -> Tensor:
    """Forecast maps that say just what ``rows`` holds."""
    cells = torch.zeros(1, STATE + 16, 32, 32)
    cells[:, 0], cells[:, 5] = -12.0, 1.0
    for agent in rows[0][rows[0, :, 3] > 0]:
        row, col = (int(i.round()) for i in GRID.to_index(agent[0], agent[1]))
        x, y = GRID.to_metres(row, col)
        motion = agent[5:].reshape(8, 3)[:, :2] - agent[:2]
        of_cell = [12.0, (agent[0] - x) / 2, (agent[1] - y) / 2, agent[3].log(), agent[4].log()]
        of_cell += [agent[2].cos(), agent[2].sin(), *(motion / MOTION_M).flatten()]
        cells[0, :, row, col] = torch.tensor([float(v) for v in of_cell])
    return cells


AGENTS = (
    (10.3, -4.2, 0.5, 4.5, 1.9, 3.0, 0.0),
    (-7.0, 12.9, -2.0, 0.6, 0.6, 0.0, 1.4),
    (0.1, 0.1, 0.0, 8.0, 2.5, -9.0, 2.0),
)


def test_agents_of_a_perfect_map_are_the_truth(head):
    rows = truth(*AGENTS)
    found = head.agents(perfect(rows), 5)
    order = [int((found.xy[0, :, 0] - row[5:7]).norm(dim=-1).argmin()) for row in rows[0, :3]]
    assert sorted(order) == [0, 1, 2]
    torch.testing.assert_close(found.presence[0, order], torch.ones(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.xy[0, order, 1:], rows[0, :3, 5:].reshape(3, 8, 3)[..., :2])
    torch.testing.assert_close(found.size[0, order], rows[0, :3, 3:5])
    torch.testing.assert_close(torch.atan2(found.heading[0, order, 1], found.heading[0, order, 0]), rows[0, :3, 2])
    assert found.presence[0].sum() < 3.1


def test_the_loss_is_least_at_the_truth_and_sees_every_part(head):
    rows = truth(*AGENTS)
    best = head.losses(perfect(rows), rows)
    assert 0 <= float(best) < 1e-3
    for channel, change in ((0, -14.0), (1, 0.5), (3, 0.4), (6, 0.8), (STATE, 0.3), (STATE + 15, -0.3)):
        worse = perfect(rows)
        there = worse[:, 0] > 0
        worse[:, channel] += change * there
        assert float(head.losses(worse, rows)) > float(best) + 0.01, channel
    imagined = perfect(rows)
    imagined[0, 0, 3, 3] = 12.0
    assert float(head.losses(imagined, rows)) > float(best) + 1.0


def test_unknown_poses_and_absent_agents_ask_nothing(head):
    rows = truth(*AGENTS)
    rows[0, 0, 5 + 3 * 4 :] = 0.0  # known for four poses
    wrong = perfect(truth(*AGENTS))
    row, col = (int(i.round()) for i in GRID.to_index(torch.tensor(10.3), torch.tensor(-4.2)))
    wrong[0, STATE + 8 :, row, col] += 5.0
    assert float(head.losses(wrong, rows)) < 1e-3
    wrong[0, STATE, row, col] += 5.0
    assert float(head.losses(wrong, rows)) > 0.1
    nobody = torch.zeros(1, 64, 29)
    assert float(head.losses(perfect(nobody), nobody)) < 1e-3


def test_of_two_agents_in_a_cell_the_nearer_one_counts(head):
    near, far = (10.3, -4.2, 0.0, 4.0, 2.0, 1.0, 0.0), (10.5, -4.4, 0.0, 9.0, 3.0, -5.0, 0.0)
    assert float(head.losses(perfect(truth(near)), truth(near, far))) < 1e-3
    assert float(head.losses(perfect(truth(far)), truth(near, far))) > 0.1


def test_agents_in_the_first_cell_count_too(head):
    """Agents that do not count are gathered there."""
    corner = (-31.5, -31.5, 0.0, 4.0, 2.0, 1.0, 0.0)
    rows = truth(corner, (40.0, 0.0, 0.0, 4.0, 2.0, 0.0, 0.0))  # the second is beyond the raster
    assert float(head.losses(perfect(rows[:, :1]), rows)) < 1e-3
    assert float(head.losses(perfect(torch.zeros(1, 64, 29)), rows)) > 1.0


def test_untrained_it_forecasts_hardly_anybody_and_learns(head):
    """One map of given features, 60 steps: the agent is found and its way is known."""
    coarse, fine = torch.randn(1, 16, 8, 8), torch.randn(1, 8, 32, 32)
    rows = truth(AGENTS[0])
    start = head(coarse, fine)
    assert start.shape == (1, STATE + 16, 32, 32)
    assert float(start[:, 0].sigmoid().max().detach()) < 0.2
    optimiser = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        loss = head.losses(head(coarse, fine), rows)
        loss.backward()
        optimiser.step()
    found = head.agents(head(coarse, fine).detach(), 1)
    assert float(found.presence) > 0.7
    assert float((found.xy[0, 0, 1:] - rows[0, 0, 5:].reshape(8, 3)[:, :2]).norm(dim=-1).max()) < 1.0
    assert all(p.grad is not None and bool(p.grad.any()) for p in head.parameters())


def test_presence_far_from_certain_gives_finite_gradient(head):
    cells = perfect(truth(*AGENTS)).requires_grad_()
    (gradient,) = torch.autograd.grad(head.losses(cells * 1e3, truth(*AGENTS)), cells)
    assert bool(gradient.isfinite().all())
    assert bool(head.losses(cells * 1e3, truth(*AGENTS)).isfinite())
