"""How the sub-scores of EPDMS make one, and what the human filter forgives."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from wotempo.pdm.epdms.human_filter import apply_human_filter
from wotempo.pdm.epdms.scores import SUB_SCORES, ExtendedScores


def _ones(**changed: float) -> ExtendedScores:
    values = {field.name: np.ones(1) for field in fields(ExtendedScores)}
    return ExtendedScores(**values | {name: np.full(1, value, np.float64) for name, value in changed.items()})


def test_human_filter_forgives_exact_zeros_only() -> None:
    agent = _ones(nc=0, dac=0, tlc=0, lk=0, ec=0)
    human = _ones(nc=0.5, dac=0, tlc=0, lk=1, ec=np.nan)
    filtered = apply_human_filter(agent, human)
    values = {name: getattr(filtered, name)[0] for name in SUB_SCORES}
    assert values == dict(nc=0, dac=1, ddc=1, tlc=1, ep=1, ttc=1, lk=0, hc=1, ec=0)
    assert filtered.score[0] == 0
    assert apply_human_filter(agent, replace(human, nc=np.zeros(1))).score[0] == 12 / 16


def test_human_filter_takes_one_human() -> None:
    two = _ones(nc=0)
    two = replace(two, nc=np.zeros(2))
    with pytest.raises(ValueError, match="one human row"):
        apply_human_filter(_ones(), two)


def test_aggregation() -> None:
    assert _ones().score[0] == 1
    assert _ones(nc=0.5, ddc=0.5).score[0] == 0.25
    for name, weight in {"ep": 5, "ttc": 5, "lk": 2, "hc": 2, "ec": 2}.items():
        assert _ones(**{name: 0}).score[0] == 1 - weight / 16, name
    for name, weight in {"ep": 5, "ttc": 5, "lk": 2, "hc": 2}.items():
        assert _ones(ec=np.nan, **{name: 0}).score[0] == pytest.approx(1 - weight / 14), name
    for name in ("dac", "tlc"):
        assert _ones(**{name: 0}).score[0] == 0, name
    np.testing.assert_allclose(_ones(**{**dict.fromkeys(SUB_SCORES, 0.5), "ec": np.nan}).score, 0.5**5)
