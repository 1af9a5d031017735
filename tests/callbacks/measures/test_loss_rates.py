"""The loss criterion is wrong no more often than its page says."""

from __future__ import annotations

import math

import pytest
from loss_rates import CURVES, PAGE, measure_all, with_table


@pytest.fixture(scope="module")
def rates():
    return measure_all()


@pytest.mark.slow
def test_rates_of_wrong_verdicts(rates):
    for found in rates:
        most = found.kind.most
        chance = 3 * math.sqrt(most * (1 - most) / CURVES)
        assert found.wrong <= most + chance, found


@pytest.mark.slow
def test_a_loss_that_diverges_fails_outright(rates):
    for found in rates:
        if found.kind.name in ("falls, then diverges", "blows up in the last tenth"):
            assert found.passed + found.open < 0.01, found


@pytest.mark.slow
def test_the_page_shows_these_rates(rates):
    assert PAGE.read_text() == with_table(PAGE.read_text(), rates)
