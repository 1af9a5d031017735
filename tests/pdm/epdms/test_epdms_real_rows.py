"""The aggregation formula makes the scores of real evaluations out of their sub-scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from epdms_builders import scores_of
from test_epdms_golden import FIELDS

ROWS = {
    "human_replay_stock_nonreactive.csv": 12_146,
    "pdm_closed_stock_reactive.csv": 12_146,
    "stock_filter_on__diffusion_drive.csv": 12_143,
}


@pytest.mark.shared
@pytest.mark.parametrize("name", sorted(ROWS))
def test_scores_of_navtest(name: str, shared_dir: Path) -> None:
    """36 435 rows in all. The files have no extended comfort: no row carries its weight."""
    rows = pd.read_csv(shared_dir / "data" / "navsim_scores" / name)
    rows = rows[rows["token"].str.fullmatch("[0-9a-f]{16}")]
    assert len(rows) == ROWS[name]
    assert rows["valid"].all()
    got = scores_of(**{name: rows[column].to_numpy() for name, column in FIELDS.items()}, ec=np.full(len(rows), np.nan))
    np.testing.assert_allclose(got.score, rows["score"], rtol=0, atol=1e-15)
