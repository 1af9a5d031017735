"""Where the ego is on a trajectory, beside the tracker of the scorer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wotempo.pdm.simulate import simulate
from wotempo.pdm.states import ACCEL, HEADING, SPEED, STATE_SIZE, X, Y
from wotempo.planners.wote.followed import STEPS, along, travelled

TIMES = torch.arange(1, 9) / 2


def arc(speed: float, end: float, turn: float) -> torch.Tensor:
    """(8, 3): a speed that changes evenly in 4 s, on a line that turns by so much."""
    metres = speed * TIMES + (end - speed) / 8 * TIMES**2
    heading = turn * metres / 40
    fine = torch.linspace(0, 1, 201)[:, None] * metres
    bend = turn * fine / 40
    x, y = (torch.trapezoid(part, fine, dim=0) for part in (bend.cos(), bend.sin()))
    return torch.stack((x, y, heading), -1)


@pytest.mark.parametrize("speed", [0.0, 3.0, 8.0, 12.0])
def test_beside_the_scorers_tracker(speed):
    """On straight lines within centimetres; in bends the tracker leaves the line, as it has to steer first."""
    ways = [(v, end) for v in (0.0, 4.0, 9.0) for end in (0.0, 5.0, 12.0)]
    paths = torch.stack([arc(v, end, turn) for turn in (0.0, 0.6) for v, end in ways])
    ego = np.zeros(STATE_SIZE)
    ego[SPEED], ego[ACCEL] = speed, 0.5
    states = torch.as_tensor(simulate(ego, paths.double().numpy())[:, 1:]).float()
    metres, speeds = travelled(paths[None], torch.tensor([speed]), torch.tensor([0.5]))
    poses = along(paths[None], metres)[0]
    assert poses.shape == (len(paths), 8 * STEPS, 3)
    torch.testing.assert_close(speeds[0], states[..., SPEED], atol=0.06, rtol=0)
    apart = torch.linalg.vector_norm(poses[..., :2] - states[..., [X, Y]], dim=-1)
    straight, bent = apart[: len(ways)], apart[len(ways) :]
    assert float(straight.max()) < 0.1
    assert float(bent.mean()) < 0.8
    nominal = torch.linalg.vector_norm(paths[..., :2] - states[:, STEPS - 1 :: STEPS, [X, Y]], dim=-1)
    assert float(apart.mean()) < 0.25 * float(nominal.mean()), "the trajectory's own poses are farther from it"
    assert float((poses[..., 2] - states[..., HEADING]).abs().mean()) < 0.1


def test_who_has_stopped_goes_straight_on_beyond_the_end():
    standing = torch.zeros(1, 1, 8, 3)
    metres, speeds = travelled(standing, torch.tensor([5.0]), torch.tensor([0.0]))
    poses = along(standing, metres)[0, 0]
    assert float(speeds[0, 0, -1]) < 0.5
    assert float(poses[-1, 0]) == pytest.approx(float(metres[0, 0, -1]))
    assert bool((poses[:, 1:] == 0).all())
