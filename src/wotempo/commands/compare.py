"""Hold runs against each other, seeds together: a table, and a page.

Without folders the latest ConvGRU epoch is held against the latest baseline epoch.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.table import Table

from wotempo.command_line.entry import command
from wotempo.command_line.words import Option, folders_and_options
from wotempo.errors import UserError, require_named
from wotempo.navsim import write_bytes
from wotempo.records.reading import read_config, read_verdicts
from wotempo.records.run_folders import CONFIG, run_folders
from wotempo.report.comparison import Comparison, Side, compare, latest_finished
from wotempo.report.comparison_page import comparison_page, difference, number
from wotempo.report.sides import sides
from wotempo.report.terminal import console
from wotempo.runs.sweep import lost_jobs

TARGETS = {"convgru_1epoch": "make train-convgru-1epoch", "baseline_1epoch": "make train-baseline"}
OPTIONS = (
    Option("reference", "str", None, "the side that the others are held against; else as the runs were configured"),
    Option("page", "path", None, "where the page goes; else runs/comparison.html"),
)


def choose(folders: list[Path], root: Path) -> list[Path]:
    """The named ones, or the latest of each kind below ``root``."""
    if folders:
        return folders
    chosen = []
    verdicts, notes = read_verdicts(run_folders(root))
    for note in notes:
        print(note)
    for name, target in TARGETS.items():
        if (folder := latest_finished(verdicts, name)) is None:
            raise UserError(f"there is no finished run of {name} below {root}: {target}")
        chosen.append(folder)
    return chosen


def reference_of(found: list[Side], given: str | None, folders: list[Path]) -> Side:
    """The named side; else the one that the runs' own configuration names; else the last."""
    names = [side.name for side in found]
    if given is not None:
        require_named("side", given, names)
        return found[names.index(given)]
    if runs := [run for folder in folders for run in run_folders(folder, CONFIG)]:
        given = (read_config(runs[0] / CONFIG).get("comparison") or {}).get("reference")
    return found[names.index(given)] if given in names else found[-1]


def table(comparison: Comparison) -> Table:
    a, b = comparison.a, comparison.b
    view = Table(title="figure by figure; the intervals are over logs, and over seeds where there are several")
    for column in ("", a.marked, b.marked, "difference", " "):
        view.add_column(column, justify="left" if not column.strip() else "right")
    verdicts = [" ".join(job.verdict["status"] for job in side.jobs) for side in (a, b)]
    view.add_row("verdict", *verdicts, "", "")
    for name, row in comparison.rows.iterrows():
        view.add_row(str(name), number(row["a"]), number(row["b"]), difference(row), row["finding"])
    return view


@command("[folder of a run or of a sweep …]", OPTIONS)
def main(arguments: list[str], root: Path = Path("runs")) -> int:
    """-> the exit code: 0, or 2 where there is nothing to compare."""
    named, given = folders_and_options(arguments, OPTIONS)
    folders = choose(named, root)
    found = sides(folders)
    lost = lost_jobs(folders)
    if len(found) < 2:
        print(*lost, sep="\n", end="\n" if lost else "")
        raise UserError(f'one configuration is named ({found[0].name}): name another (make: RUNS="runs/… runs/…")')
    reference = reference_of(found, given["reference"], folders)
    comparisons = [compare(side, reference) for side in found if side is not reference]
    comparisons[-1].notes.extend(lost)
    for folder in folders:
        print(folder)
    for comparison in comparisons:
        console(width=120).print(table(comparison))
        for note in comparison.notes:
            print(f"  {note}")
    out = given["page"] or root / "comparison.html"
    write_bytes(out, comparison_page(comparisons).encode())
    print(f"page: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
