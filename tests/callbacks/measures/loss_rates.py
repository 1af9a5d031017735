"""How often the loss criterion is wrong on simulated curves, as a table of docs/criteria_evidence.md.

Run as a program, it writes the table into the page.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from loss_curves import KINDS, Kind

from callbacks import LossGuard
from callbacks.measures.dependence import Dependence, dependence

PAGE = Path(__file__).resolve().parents[3] / "docs" / "criteria_evidence.md"
BEGIN, END = "<!-- loss rates: python tests/callbacks/measures/loss_rates.py -->\n", "<!-- end -->\n"
CURVES = 2000
LOOKED_UP = "callbacks.measures.trend.dependence"  # where the criterion finds that function


@dataclass(frozen=True)
class Rates:
    """Shares of the verdicts; ``independent``: of wrong ones, were neighbours taken for independent."""

    kind: Kind
    passed: float
    open: float
    independent: float

    @property
    def wrong(self) -> float:
        return 1 - self.passed if self.kind.falls else self.passed


def verdict(losses: list[float]) -> str:
    """Of the criterion's own conclusion on these batches."""
    guard = LossGuard()
    guard.memory["losses"] = [[value] for value in losses]
    guard.conclude(SimpleNamespace(world_size=1), None)  # type: ignore[arg-type]
    return guard.status


def both_verdicts(losses: list[float]) -> tuple[str, str]:
    """The criterion's own, and the one of a criterion that takes neighbours for independent."""
    noticed: list[Dependence] = []

    def noted(values: Sequence[float]) -> Dependence:
        noticed.append(dependence(values))
        return noticed[-1]

    with patch(LOOKED_UP, noted):
        own = verdict(losses)
    if all(each == Dependence() for each in noticed):
        return own, own  # none was noticed: nothing else would be computed
    with patch(LOOKED_UP, return_value=Dependence()):
        return own, verdict(losses)


def measure(kind: Kind, seed: int, curves: int = CURVES) -> Rates:
    verdicts = [both_verdicts(losses) for losses in kind.draw(curves, seed)]
    found = Counter(own for own, _ in verdicts)
    passed = sum(other == "pass" for _, other in verdicts) / curves
    return Rates(kind, found["pass"] / curves, found["inconclusive"] / curves, 1 - passed if kind.falls else passed)


def measure_all() -> list[Rates]:
    return [measure(kind, seed) for seed, kind in enumerate(KINDS)]


def table(rates: list[Rates]) -> str:
    lines = []
    for falls, title in ((False, "must not pass"), (True, "must pass")):
        lines += [f"| {title} | batches | passes | open | fails | wrong | without allowing for dependence |"]
        lines += ["|---|---|---|---|---|---|---|"]
        for r in (r for r in rates if r.kind.falls == falls):
            cells = [r.passed, r.open, 1 - r.passed - r.open, r.wrong, r.independent]
            figures = " | ".join(f"{max(cell, 0.0):.1%}" for cell in cells)
            lines.append(f"| {r.kind.name} | {r.kind.batches} | {figures} |")
        lines.append("")
    return "\n".join(lines)


def with_table(page: str, rates: list[Rates]) -> str:
    before, rest = page.split(BEGIN)
    return before + BEGIN + table(rates) + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    found = measure_all()
    PAGE.write_text(with_table(PAGE.read_text(), found))
    sys.stdout.write(table(found))
