"""Every stage and control against docs/fusion_properties.md: ✓ must hold, ✗ must be seen broken, – is not asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from property_table import FAILS, HOLDS, PROPERTIES, SILENT, build, read_table
from wotempo.configs import values

from wotempo import configs
from wotempo.fusion import STAGES
from wotempo.fusion.controls.controls import CONTROLS

TABLE = read_table()
CELLS = [(row, name) for row, marks in TABLE.items() for name, mark in marks.items() if mark != SILENT]


@pytest.mark.filterwarnings("ignore:stale_history")
@pytest.mark.parametrize(("row", "name"), CELLS, ids=[f"{row}-{name}" for row, name in CELLS])
def test_property(row: str, name: str) -> None:
    stage = build(row)
    if TABLE[row][name] == HOLDS:
        PROPERTIES[name](stage)
    else:
        with pytest.raises(AssertionError):
            PROPERTIES[name](stage)


@pytest.mark.parametrize("row", TABLE)
def test_table_is_complete(row: str) -> None:
    assert set(TABLE[row]) == set(PROPERTIES)
    assert set(TABLE[row].values()) <= {HOLDS, FAILS, SILENT}


def test_every_stage_control_and_yaml_is_in_the_table() -> None:
    assert {row.split()[0] for row in TABLE} == set(STAGES)
    controls = {row.split("control=")[1] for row in TABLE if "control=" in row}
    assert controls == {"single_frame_wide", *CONTROLS}
    for path in (Path(configs.__file__).parent / "fusion").glob("*.yaml"):
        options = OmegaConf.create(values(f"fusion/{path.stem}"))
        variant = {k: v for k, v in options.items() if k in ("kernel", "form")}
        rows = {row for row in TABLE if row.split()[0] == options.name and "control" not in row}
        assert options.name in rows
        if path.stem != options.name:  # a variant has a row of its own
            assert any(f"{k}={v}" in row for row in rows for k, v in variant.items()), path.name
