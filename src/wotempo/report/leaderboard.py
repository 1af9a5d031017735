"""One leaderboard: verdict, score and cost of every variant, as a page and for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd
from rich.table import Table

from wotempo.report.comparison import ENOUGH
from wotempo.report.glossary import GLOSSARY, word
from wotempo.report.html import note, page, section, table
from wotempo.report.marks import MARKS
from wotempo.report.numbers import figure, span
from wotempo.report.twins_compared import cells_of, heads_of

FINDINGS = {"better": "better", "worse": "worse", "within noise": "noise"}
PARTS = ("NC", "DAC", "EP", "TTC", "C", "ADE m")  # columns of the second table of the page; the first has the rest


def places(view: pd.DataFrame) -> list[str]:
    """1, 2, … in the order of ``view``, which stands accepted variants first; ✗ where a run was not accepted, – where
    nothing was scored."""
    found, place = [], 0
    for _, row in view.iterrows():
        if row["accepted"] != row["runs"]:
            found.append("✗")
        elif np.isnan(row["pdms"]):
            found.append("–")
        else:
            place += 1
            found.append(str(place))
    return found


def lines_of(view: pd.DataFrame, metric: str) -> list[dict[str, str]]:
    """Heading -> text of each row: place, variant, runs, score, difference, finding, sub-scores, cost."""
    lines = []
    for place, (name, row) in zip(places(view), view.iterrows(), strict=True):
        seeds = ("" if row["runs"] >= ENOUGH else " †") + row["marks"]
        own, opens, sweep = str(name).partition(" (")
        size = row["parameters"]
        line = {"": place, "variant": f"{own}{seeds}{opens}{sweep}", "accepted": f"{row['accepted']}/{row['runs']}"}
        line[f"{metric.upper()} [95 %]"] = span(row[metric], row["score_low"], row["score_high"])
        line["Δ [95 %]"] = span(row["difference"], row["low"], row["high"], "+.3f")
        line["finding"] = str(row["finding"])
        line |= dict(zip(heads_of(view), cells_of(row), strict=True))
        line |= {word(part): figure(row[part]) for part in ("nc", "dac", "ep", "ttc", "comfort", "ade")}
        line |= {"minutes": figure(row["minutes"], ".1f"), "s/step": figure(row["seconds_per_step"])}
        line["memory GB"] = figure(row["memory_gb"], ".2f")
        line["parameters"] = "–" if pd.isna(size) else f"{size / 1e6:.2f} M"
        lines.append(line)
    return lines


def rule_of(metric: str, margin: float) -> str:
    return (
        "A variant with a run that was not accepted has no place, whatever it scored. Figures are means over accepted "
        "runs on the test split, or over the others where none was accepted; intervals draw seeds and whole logs with "
        "replacement, Δ is paired by scene and seed with the reference. It counts where its interval leaves 0 out and "
        f"it reaches {margin} of {metric.upper()}. † fewer than three seeds: runs, not a result. "
        f"{MARKS} Minutes of training, "
        "s/step and memory (the peak) are of the machine that ran them."
    )


def leaderboard_page(boards: Mapping[str, pd.DataFrame], metric: str, margin: float, notes: Sequence[str]) -> str:
    """One HTML file that needs no network; a table per dataset, since scores on different scenes do not compare.
    ``boards``: what was scored -> the view of ``ablation.summarise``; it marks the reference."""
    notes_below = "".join(note(text) for text in [rule_of(metric, margin), GLOSSARY, *notes])
    tables = [section(data, *_tables(view, metric)) for data, view in boards.items()]
    rows = (item for view in boards.values() for item in view.iterrows())
    failures = [f"✗ {name}: {row['statuses']}" for name, row in rows if row["statuses"]]
    lost = [section("Not accepted", "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in failures) + "</ul>")]
    title = "<h1>Leaderboard: verdict, score, cost</h1>"
    return page("leaderboard", [title, *tables, *(lost if failures else []), section("How to read it", notes_below)])


def _tables(view: pd.DataFrame, metric: str) -> list[str]:
    """Verdict, score and cost; below it the parts of the score. Together they are wider than a page."""
    lines, twins = lines_of(view, metric), heads_of(view)
    tables = []
    kinds = [[head for head in lines[0] if head not in (*PARTS, *twins)], ["", "variant", *PARTS]]
    for kept in [*kinds, ["", "variant", *twins]] if twins else kinds:
        rows = [[_cell(head, line[head]) for head in kept] for line in lines]
        tables.append(table(kept, rows, numeric=[head for head in kept if head not in ("", "variant", "finding")]))
    further = ["<h3>Twin scenes</h3>", *tables[2:]] if twins else []
    return [tables[0], "<h3>Parts of the score</h3>", tables[1], *further]


def _cell(head: str, text: str) -> str | tuple[str, str]:
    """With its mark; an interval and a sweep's name in a line of their own."""
    if head == "":
        return text, "fail" if text == "✗" else ""
    if head == "finding":
        return text, FINDINGS.get(text, "")
    return text.replace(" [", "\n[", 1).replace(" (", "\n(", 1)


def terminal(data: str, view: pd.DataFrame, metric: str) -> Table:
    """What fits a terminal; the page has the sub-scores."""
    shown = Table(title=f"{data}: verdict, score, cost; accepted variants first")
    lines = lines_of(view, metric)
    cost = ("minutes", "memory GB") if heads_of(view) else ()  # with the figures of twins they do not fit
    kept = [head for head in lines[0] if head not in (*PARTS, "parameters", *cost)]
    for head in kept:
        left = head in ("variant", "finding")
        shown.add_column(head.replace(" [", "\n["), justify="left" if left else "right", overflow="fold")
    for line in lines:
        shown.add_row(*(line[head].replace(" [", "\n[", 1) for head in kept))
    return shown
