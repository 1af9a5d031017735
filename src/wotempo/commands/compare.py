"""One epoch of the ConvGRU against one of the baseline, from what the runs left.

python -m wotempo.commands.compare [run folder, run folder]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from wotempo.errors import UserError
from wotempo.report.comparison import Comparison, compare, latest_finished, read_run

TARGETS = {"convgru_1epoch": "make train-convgru-1epoch", "baseline_1epoch": "make train-baseline"}


def choose(folders: list[str], root: Path) -> list[Path]:
    """The two named ones, or the latest of each kind below ``root``."""
    if folders:
        if len(folders) != 2:
            raise UserError(f'{len(folders)} runs are named: name two (make: RUNS="runs/… runs/…"), or none')
        return [Path(folder) for folder in folders]
    chosen = []
    for name, target in TARGETS.items():
        if (folder := latest_finished(root, name)) is None:
            raise UserError(f"there is no finished run of {name} below {root}: {target}")
        chosen.append(folder)
    return chosen


def table(comparison: Comparison) -> Table:
    view = Table(title="figure by figure; the intervals are over logs")
    names = [job.variant if job.accepted else f"✗ {job.variant}" for job in (comparison.a, comparison.b)]
    for column in ("", *names, "difference", ""):
        view.add_column(column, justify="left" if column == "" else "right")
    view.add_row("verdict", *(job.verdict["status"] for job in (comparison.a, comparison.b)), "", "")
    for name, row in comparison.rows.iterrows():
        span = "" if np.isnan(row["low"]) else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
        figures = (f"{row[key]:.4g}" if not np.isnan(row[key]) else "–" for key in ("a", "b"))
        difference = "–" if np.isnan(row["difference"]) else f"{row['difference']:+.3g}{span}"
        view.add_row(str(name), *figures, difference, row["finding"])
    return view


def main(arguments: list[str], root: Path = Path("runs")) -> int:
    """-> the exit code: 0, or 2 where there is nothing to compare."""
    try:
        folders = choose(arguments, root)
        comparison = compare(*(read_run(folder) for folder in folders))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return UserError.exit_code
    for folder in folders:
        print(folder)
    Console(width=120).print(table(comparison))
    for note in comparison.notes:
        print(f"  {note}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
