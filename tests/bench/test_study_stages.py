"""The table of what fusion stages cost."""

from __future__ import annotations

import pytest

from scripts.studies.stages import costs
from wotempo.planners.config import sizes


def test_costs_of_the_family_at_full_size() -> None:
    """Against counts by hand, in C = 512 channels, 64 cells and 4 frames."""
    c, table = 512, {row.stage: row for row in costs(sizes("wote"), "bev8")}
    assert (table["none"].parameters, table["mean"].parameters, table["max"].macs) == (0, 0, 0)
    assert (table["concat"].parameters, table["concat"].macs) == (4 * c * c, 4 * c * c * 64)
    assert (table["concat_3x3"].parameters, table["concat_3x3"].macs) == (36 * c * c, 36 * c * c * 64)
    assert table["convgru"].parameters == 54 * c * c + 3 * c + c * c
    # x of four frames, the state of three (there is none before the first), the output once.
    assert table["convgru"].macs == (4 * 27 + 3 * 27 + 1) * c * c * 64
    assert table["convgru_recurrent"].macs == (4 * 54 + 1) * c * c * 64  # there a step is a step
    assert table["convlstm"].parameters == 72 * c * c + 4 * c + c * c
    assert table["mingru"].macs == (4 * 18 + 1) * c * c * 64
    assert table["convgru_bottleneck"].parameters < 0.1 * table["convgru"].parameters


@pytest.mark.parametrize(("level", "share"), [("lidar3", 4), ("lidar2", 16)])
def test_finer_levels_cost_the_same_with_fewer_parameters(level: str, share: int) -> None:
    coarse = next(row for row in costs(sizes("wote"), "bev8") if row.stage == "convgru")
    fine = next(row for row in costs(sizes("wote"), level) if row.stage == "convgru")
    assert fine.parameters == pytest.approx(coarse.parameters / share, rel=0.01)
    assert fine.macs == coarse.macs
