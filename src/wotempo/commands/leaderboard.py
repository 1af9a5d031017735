"""Put all runs below some folders into one table: verdict, score, cost; failures shown, too.

Without folders everything below runs/.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from callbacks.base.markdown import inline, one_line
from wotempo.command_line.entry import command
from wotempo.command_line.words import Option, folders_and_options
from wotempo.errors import UserError, require_named
from wotempo.navsim import write_bytes
from wotempo.records.reading import Damaged, read_config
from wotempo.records.run_folders import CONFIG, run_folders
from wotempo.report.ablation import METRICS, summarise
from wotempo.report.ablation_page import markdown
from wotempo.report.comparison import Side
from wotempo.report.leaderboard import leaderboard_page, terminal
from wotempo.report.sides import all_sides
from wotempo.report.terminal import console
from wotempo.report.token_set import REFUSED, Scored, measured_on
from wotempo.report.twins_compared import with_twins
from wotempo.runs.sweep import lost_jobs

OPTIONS = (
    Option("reference", "str", None, "the variant that the others are held against; else the one most runs name"),
    Option("metric", "str", "pdms", "the score"),
    Option("margin", "float", "0.02", "the smallest difference of the score that matters"),
    Option("out", "path", "runs/leaderboard", "of the page (.html), the table (.md) and its rows (.json)"),
)


def by_data(found: list[Side]) -> dict[str, list[Side]]:
    """Scores on different scenes do not compare: the variants of each dataset."""
    groups: dict[str, list[Side]] = {}
    for side in found:
        known = [job.verdict["facts"] for job in side.jobs if "data" in job.verdict["facts"]]
        groups.setdefault(one_line(known[0]["data"]) if known else "no run began training", []).append(side)
    return groups


def by_token_set(data: str, found: list[Side]) -> tuple[dict[str, tuple[Scored | None, list[Side]]], list[str]]:
    """The variants of a dataset by what their runs were scored on and by, with a heading each, and sentences that say
    so. What was not scored stands in the first table, or in that of the other runs of its variant."""
    sets = measured_on(job for side in found for job in side.jobs)
    if len(sets) < 2:
        notes = [f"{data}: {scored}" for scored in sets.values()]
        return {data: (next(iter(sets.values()), None), found)}, notes
    tables: dict[str, tuple[Scored | None, list[Side]]] = {}
    for place, (one, scored) in enumerate(sets.items()):
        members = []
        for side in found:
            own = measured_on(side.jobs)
            jobs = [job for job in side.jobs if job.rows is None or Scored.in_rows(job.rows).of == one]
            if one in own or (not own and place == 0):
                members.append(replace(side, jobs=jobs))
        tables[f"{data} · {scored.short}"] = (scored, members)
    each = "; ".join(f"{scored}: {', '.join(s.name for s in of)}" for scored, of in tables.values())
    return tables, [f"{REFUSED}: {data} has {len(tables)} tables. {each}"]


def reference_of(found: list[Side], folders: list[Path], given: str | None) -> str:
    """The named variant, where it is among them; else the one that most of the runs' own configurations name."""
    names = [side.name for side in found]
    if given is not None and given in names:
        return given
    named = Counter((config.get("comparison") or {}).get("reference") for config in _configs(folders))
    # Names that two sweeps share carry the sweep in brackets.
    fits = (name for wanted, _ in named.most_common() for name in names if name.partition(" (")[0] == wanted)
    return next(fits, names[0])


def _configs(folders: list[Path]) -> Iterator[dict[str, Any]]:
    """Of all runs but the damaged ones, which ``all_sides`` names."""
    for run in (run for folder in folders for run in run_folders(folder, CONFIG)):
        with suppress(Damaged):
            yield read_config(run / CONFIG)


@command("[folder of runs or sweeps …]", OPTIONS)
def main(arguments: list[str]) -> int:
    """-> the exit code: 0, or 2 where there is nothing to show."""
    named, options = folders_and_options(arguments, OPTIONS)
    folders = named or [Path("runs")]
    if not named and not folders[0].is_dir():
        raise UserError("there are no runs yet: make train-convgru-1epoch")
    metric, margin, given = options["metric"], options["margin"], options["reference"]
    require_named("metric", metric, METRICS)
    lost = lost_jobs(folders)
    try:
        found, repeated = all_sides(folders)
    except UserError:
        print(*lost, sep="\n", end="\n" if lost else "")
        raise
    if given:
        require_named("variant", given, [side.name for side in found])
    boards, pages, lines = {}, [], []
    tables: dict[str, tuple[Scored | None, list[Side]]] = {}
    measured: list[str] = []
    for data, members in by_data(found).items():
        of_data, sentences = by_token_set(data, members)
        tables |= of_data
        measured += sentences
    for data, (scored, members) in tables.items():
        jobs = [replace(job, variant=side.name) for side in members for job in side.jobs]
        reference = reference_of(members, folders, given)
        boards[data] = view = with_twins(summarise(jobs, reference, metric, margin), jobs, reference)
        pages += [f"## {inline(data)}", "", markdown(view, reference, metric, margin, "")]
        on = {} if scored is None else {"metric": scored.of.metric, "token_set": scored.of.hash, "tokens": scored.count}
        lines += [{"data": data, **on, **row} for row in json.loads(view.reset_index().to_json(orient="records"))]
    notes = (
        lost
        + repeated
        + measured
        + sorted({one_line(note) for side in found for job in side.jobs if (note := job.verdict["facts"].get("note"))})
    )
    out = str(options["out"]).removesuffix(".html")
    page = f"{out}.html"
    write_bytes(Path(page), leaderboard_page(boards, metric, margin, notes).encode())
    write_bytes(Path(f"{out}.md"), "\n".join([*map(inline, notes), "", *pages]).encode())
    write_bytes(Path(f"{out}.json"), json.dumps(lines, indent=1).encode())
    for data, view in boards.items():
        console(width=120).print(terminal(data, view, metric))
        for name, row in view.iterrows():
            if row["statuses"]:
                print(f"✗ {name}: {row['statuses']}")
            elif np.isnan(row[metric]):
                print(f"– {name}: not scored on the test split (train with ARGS=test=true)")
    for note in notes:
        print(note)
    print(f"page: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
