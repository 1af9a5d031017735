"""Dependence between the values of a series is measured, and priced as theory says."""

from __future__ import annotations

import numpy as np
import pytest
from loss_curves import dependent, drifting, white

from callbacks.measures.dependence import Dependence, dependence
from callbacks.measures.trend import block_medians


def measured(noise, n: int, runs: int = 60) -> tuple[float, float]:
    """Means of part and phi."""
    rng = np.random.default_rng(0)
    found = [dependence(row) for row in noise(rng, (runs, n)).tolist()]
    return float(np.mean([d.part for d in found])), float(np.mean([d.phi for d in found]))


def test_independent_values_mostly_show_none():
    rng = np.random.default_rng(0)
    found = [dependence(row) for row in white()(rng, (400, 300)).tolist()]
    assert sum(d != Dependence() for d in found) <= 0.05 * 400


@pytest.mark.parametrize("phi", [0.6, 0.9])
def test_the_correlation_of_neighbours_is_found(phi):
    part, found = measured(dependent(phi), 1000)
    assert part * found == pytest.approx(phi, abs=0.06)


def test_a_drift_below_noise_is_told_from_quick_forgetting():
    part, phi = measured(drifting, 1000)
    assert phi > 0.8
    assert part == pytest.approx(0.5, abs=0.15)


def test_a_straight_line_and_a_constant_have_none():
    assert dependence([float(i) for i in range(100)]) == Dependence()
    assert dependence([1.0] * 100).of_ends(8, 25) > 0


@pytest.mark.parametrize("model", [Dependence(1.0, 0.7), Dependence(0.5, 0.9), Dependence()])
def test_variances_against_simulation(model):
    n, runs, rng = 40, 20_000, np.random.default_rng(0)
    slow = dependent(model.phi, 1.0)(rng, (runs, n)) if model.phi else np.zeros((runs, n))
    values = np.sqrt(model.part) * slow + np.sqrt(1 - model.part) * rng.standard_normal((runs, n))
    assert values.mean(1).var() == pytest.approx(model.mean_variance(n), rel=0.05)


def test_kendall_of_dependent_blocks_against_simulation():
    model, blocks, length, rng = Dependence(1.0, 0.9), 20, 5, np.random.default_rng(0)
    rows = dependent(0.9)(rng, (600, blocks * length))
    medians = np.array([block_medians(row, blocks) for row in rows.tolist()])
    s = np.sign(medians[:, :, None] - medians[:, None, :])[:, *np.triu_indices(blocks, 1)].sum(1)
    independent = blocks * (blocks - 1) * (2 * blocks + 5) / 18
    assert s.var() / independent == pytest.approx(model.of_kendall(blocks, length), rel=0.2)
    assert Dependence().of_kendall(blocks, length) == 1
