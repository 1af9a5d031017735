"""Every stage, fresh and with every parameter random."""

from __future__ import annotations

import pytest
import torch
from fusion_windows import CASES, CHANNELS, GRID, randomise

from wotempo.fusion import TemporalFusion, build_fusion


@pytest.fixture(params=CASES, ids=lambda case: "-".join((case[0], *case[1])))
def fresh(request) -> TemporalFusion:
    """A stage as built, float64."""
    torch.manual_seed(0)
    name, options = request.param
    return build_fusion(name, CHANNELS, GRID, **options).double()


@pytest.fixture
def stage(fresh: TemporalFusion) -> TemporalFusion:
    """The same with random parameters."""
    return randomise(fresh)
