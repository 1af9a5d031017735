"""Simulated ego futures for anchors."""

from __future__ import annotations

import numpy as np
import pytest

from wotempo.city import CityConfig, SplitSize, simulate_futures
from wotempo.city.dataset import futures as futures_module
from wotempo.geometry.pose import wrap_angle

CONFIG = CityConfig(SplitSize(4, 2), SplitSize(1, 1), SplitSize(1, 1), frames=14)


@pytest.fixture(scope="module")
def futures() -> np.ndarray:
    return simulate_futures(CONFIG, 1200, seed=4)


def test_shape_and_determinism(futures):
    assert futures.shape == (1200, 8, 3)
    assert futures.dtype == np.float32
    assert np.isfinite(futures).all()
    assert not np.array_equal(simulate_futures(CONFIG, 50, seed=5), simulate_futures(CONFIG, 50, seed=6))
    assert np.array_equal(simulate_futures(CONFIG, 50, seed=5), simulate_futures(CONFIG, 50, seed=5))


def test_they_can_be_driven(futures):
    step = np.diff(np.concatenate([np.zeros((len(futures), 1, 3)), futures], 1), axis=1)
    distance = np.hypot(step[..., 0], step[..., 1])
    assert distance.max() < 0.5 * 17.0
    assert np.abs(np.diff(distance, axis=1)).max() / 0.25 < 7.0  # m/s²
    heading = np.concatenate([np.zeros((len(futures), 1)), futures[..., 2]], 1)
    turned = wrap_angle(np.diff(heading, axis=1))
    course = wrap_angle(np.arctan2(step[..., 1], step[..., 0]) - heading[:, :-1] - turned / 2)
    assert np.abs(course[distance > 0.5]).max() < 0.05  # along the heading, never sideways
    assert np.abs(turned).max() < 0.5 * 0.95


def test_they_vary(futures):
    end = futures[:, -1]
    assert (end[:, 2] > 0.7).mean() > 0.02  # left
    assert (end[:, 2] < -0.7).mean() > 0.02  # right
    assert (np.hypot(*end[:, :2].T) < 3.0).mean() > 0.02
    assert (end[:, 0] > 35.0).mean() > 0.05


def test_only_training_districts_are_driven(monkeypatch):
    visited = set()
    draw = futures_module.draw_district
    monkeypatch.setattr(futures_module, "draw_district", lambda seed, k: visited.add(k) or draw(seed, k))
    simulate_futures(CONFIG, 600, seed=1)
    assert visited <= {0, 1}
