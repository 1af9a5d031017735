"""The velocity probe reads velocities where they are told, and nothing where they are not."""

from __future__ import annotations

import pytest
import torch

from wotempo.errors import UserError
from wotempo.evaluation.probes.velocity_probe import Windows, fit
from wotempo.geometry import BevGrid

GRID = BevGrid(x_min=-32.0, x_max=32.0, y_min=-32.0, y_max=32.0, rows=8, cols=8)


def windows(seed: int, count: int = 192, told: bool = True) -> Windows:
    """Ten agents a window; a channel each for their velocity, in the cell where they stand."""
    draw = torch.Generator().manual_seed(seed)
    x, y = (torch.rand(count, 10, generator=draw) * 64 - 32 for _ in range(2))
    velocity = torch.randn(count, 10, 2, generator=draw) * 5
    motion = torch.cat((torch.stack((x, y), -1), velocity, torch.ones(count, 10, 1)), -1)
    motion[:, 7:, 4] = 0.0  # absent: must not count
    maps = torch.randn(count, 4, 8, 8, generator=draw) * 0.1
    if told:
        rows, cols = (index.round().long().clamp(0, 7) for index in GRID.to_index(x, y))
        for agent in reversed(range(7)):
            maps[torch.arange(count), :2, rows[:, agent], cols[:, agent]] = velocity[:, agent]
    return Windows(maps, motion)


def test_told_velocities_are_read_elsewhere():
    _, elsewhere = fit(windows(0), [windows(1)], GRID)
    assert min(elsewhere.forward, elsewhere.lateral) > 0.6  # agents that share a cell cannot both be told


def test_what_is_not_told_is_not_read_elsewhere():
    _, elsewhere = fit(windows(0, told=False), [windows(1, told=False)], GRID)
    assert max(elsewhere.forward, elsewhere.lateral) < 0.1


def test_windows_without_agents_are_refused():
    empty = windows(0, 40)
    empty.motion[..., 4] = 0.0
    with pytest.raises(UserError, match="hardly an agent"):
        fit(windows(1, 40), [empty], GRID)


@pytest.mark.parametrize("seed", [0, 3])
def test_a_seed_repeats(seed):
    torch.manual_seed(99)
    one = fit(windows(0, 64), [], GRID, seed)
    torch.manual_seed(98)
    assert fit(windows(0, 64), [], GRID, seed) == one
