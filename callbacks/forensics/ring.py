"""The latest steps of a run in bounded memory: numbers stay on the device until somebody asks."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass
class Row:
    """One micro-batch. ``numbers``: loss terms (``loss`` is the whole) and field sizes, scalars on the device."""

    step: int
    batch_idx: int
    rates: list[float]
    terms: dict[str, Tensor] = field(default_factory=dict)
    fields: dict[str, Tensor] = field(default_factory=dict)
    gradient: Tensor | None = None


class Ring:
    """The latest ``size`` micro-batches."""

    def __init__(self, size: int) -> None:
        self.rows: deque[Row] = deque(maxlen=size)

    def plain(self) -> dict[str, Any]:
        """Columns, oldest first; a number that a row lacks is None. Reads the device."""
        rows = list(self.rows)
        return {
            "step": [row.step for row in rows],
            "batch_idx": [row.batch_idx for row in rows],
            "learning_rates": [row.rates for row in rows],
            "loss": [_number(row.terms.get("loss")) for row in rows],
            "gradient": [_number(row.gradient) for row in rows],
            "terms": _columns([row.terms for row in rows]),
            "fields": _columns([row.fields for row in rows]),
        }


def _columns(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, list[float | None]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [_number(row.get(name)) for row in rows] for name in names if name != "loss"}


def _number(value: Tensor | None) -> float | None:
    return None if value is None else float(value)


def spread(values: Sequence[float | None]) -> str:
    """A column in a few words, for the diagnosis."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return "no finite value"
    last = values[-1] if values[-1] is not None else finite[-1]
    return f"{min(finite):.4g} to {max(finite):.4g} over {len(values)} batches, the last {last:.4g}"
