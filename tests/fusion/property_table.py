"""docs/fusion_properties.md as data: which property applies to which stage and control."""

from __future__ import annotations

from pathlib import Path

import properties
import stream_properties
import torch
import warp_properties
from fusion_windows import CHANNELS, GRID
from properties import Property

from wotempo.fusion import STAGES, TemporalFusion, build_fusion

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fusion_properties.md"
HOLDS, FAILS, SILENT = "✓", "✗", "–"  # must hold · must be broken · says nothing here

PROPERTIES: dict[str, Property] = {
    function.__name__.replace("_", " "): function
    for function in (
        properties.no_history,
        properties.starts_as_none,
        properties.acts,
        properties.missing_frames,
        properties.gradient,
        properties.inside_mask,
        properties.order,
        properties.poses_matter,
        properties.own_warp,
        properties.batch,
        properties.pure,
        properties.precision,
        properties.state_dict,
        properties.compiles,
        warp_properties.whole_cells,
        warp_properties.one_step,
        warp_properties.static_world,
        warp_properties.there_and_back,
        warp_properties.points_and_boxes,
        warp_properties.each_frame_alone,
        stream_properties.ring_stream,
        stream_properties.unrolled_stream,
        stream_properties.causal,
        stream_properties.stream_batch,
    )
}


EVERYTHING = dict.fromkeys(PROPERTIES, HOLDS) | {"unrolled stream": SILENT}
"""What a stage promises that says nothing else: it keeps a window, not a state of its own."""


def read_table() -> dict[str, dict[str, str]]:
    """{row (a stage, or options of one): {property: mark}}. Each table of the page has the rows as columns. A stage
    without a column must keep every promise."""
    table: dict[str, dict[str, str]] = {}
    names: list[str] = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            names = []
        elif not names:
            names = cells[1:]
        elif not set(line) <= set("|-: "):
            for name, mark in zip(names, cells[1:], strict=True):
                table.setdefault(name, {})[cells[0]] = mark
    unlisted = {name: dict(EVERYTHING) for name in STAGES if name not in {row.split()[0] for row in table}}
    return table | unlisted


def build(row: str) -> TemporalFusion:
    """``concat kernel=3`` or ``convgru control=no_warp`` as built, float64."""
    name, *pairs = row.split()
    options: dict[str, object] = {}
    for pair in pairs:
        key, value = pair.split("=")
        options[key] = int(value) if value.isdigit() else float(value) if value[0].isdigit() else value
    torch.manual_seed(0)
    stage = build_fusion(name, CHANNELS, GRID, **options).double()  # type: ignore[arg-type]
    return stage.train("frame_dropout" not in options)  # in training it is random; see test_fusion_frame_dropout.py
