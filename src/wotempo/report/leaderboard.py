"""One leaderboard: verdict, score and cost of every variant, as a page and for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from rich.table import Table

from wotempo.report.glossary import GLOSSARY
from wotempo.report.html import note, page, section, table

ENOUGH = 3  # seeds: with fewer a row is marked
FINDINGS = {"better": "better", "worse": "worse", "within noise": "noise"}
COST = ("minutes", "s/step", "memory GB", "parameters")
OVERVIEW = (0, 1, 2, 3, 4, 5, 12, 13, 14, 15)  # columns of the first table of the page; the other one has the parts
PARTS = (0, 1, 6, 7, 8, 9, 10, 11)


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


def lines_of(view: pd.DataFrame, metric: str) -> list[list[str]]:
    """Texts of a row: place, variant, runs, score, difference, finding, sub-scores, cost."""
    lines = []
    for place, (name, row) in zip(places(view), view.iterrows(), strict=True):
        seeds = "" if row["runs"] >= ENOUGH else " †"
        own, opens, sweep = str(name).partition(" (")
        score = _span(row[metric], row["score_low"], row["score_high"])
        apart = _span(row["difference"], row["low"], row["high"], signed=True)
        parts = [_number(row[m]) for m in ("nc", "dac", "ep", "ttc", "comfort", "ade")]
        size = row["parameters"]
        cost = [_number(row["minutes"], 1), _number(row["seconds_per_step"]), _number(row["memory_gb"], 2)]
        cost.append("–" if size is None or np.isnan(size) else f"{size / 1e6:.2f} M")
        runs = f"{row['accepted']}/{row['runs']}"
        lines.append([place, f"{own}{seeds}{opens}{sweep}", runs, score, apart, str(row["finding"]), *parts, *cost])
    return lines


def heads_of(metric: str) -> list[str]:
    scores = [f"{metric.upper()} [95 %]", "Δ [95 %]", "finding", "NC", "DAC", "EP", "TTC", "C", "ADE m"]
    return ["", "variant", "accepted", *scores, *COST]


def rule_of(metric: str, margin: float) -> str:
    return (
        "A variant with a run that was not accepted has no place, whatever it scored. Figures are means over accepted "
        "runs on the test split, or over the others where none was accepted; intervals draw seeds and whole logs with "
        "replacement, Δ is paired by scene and seed with the reference. It counts where its interval leaves 0 out and "
        f"it reaches {margin} of {metric.upper()}. † fewer than three seeds: runs, not a result. Minutes of training, "
        "s/step and memory (the peak) are of the machine that ran them."
    )


@dataclass(frozen=True)
class Board:
    """Variants that were scored on the same data. ``view`` is of ``ablation.summarise``; it marks the reference."""

    data: str
    view: pd.DataFrame


def leaderboard_page(boards: Sequence[Board], metric: str, margin: float, notes: Sequence[str]) -> str:
    """One HTML file that needs no network; a table per dataset, since scores on different scenes do not compare."""
    notes_below = "".join(note(text) for text in [rule_of(metric, margin), GLOSSARY, *notes])
    tables = [section(board.data, *_tables(board.view, metric)) for board in boards]
    failures = [f"✗ {name}: {row['statuses']}" for b in boards for name, row in b.view.iterrows() if row["statuses"]]
    lost = [section("Not accepted", "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in failures) + "</ul>")]
    title = "<h1>Leaderboard: verdict, score, cost</h1>"
    return page("leaderboard", [title, *tables, *(lost if failures else []), section("How to read it", notes_below)])


def _tables(view: pd.DataFrame, metric: str) -> list[str]:
    """Verdict, score and cost; below it the parts of the score. Together they are wider than a page."""
    heads, lines = heads_of(metric), lines_of(view, metric)
    tables = []
    for kept in (OVERVIEW, PARTS):
        rows: list[list[str | tuple[str, str]]] = [[_cell(line, index) for index in kept] for line in lines]
        numeric = [heads[index] for index in kept if index not in (0, 1, 5)]
        tables.append(table([heads[index] for index in kept], rows, numeric=numeric))
    return [tables[0], "<h3>Parts of the score</h3>", tables[1]]


def _cell(line: Sequence[str], index: int) -> str | tuple[str, str]:
    """With its mark; an interval and a sweep's name in a line of their own."""
    text = line[index]
    if index == 0:
        return text, "fail" if text == "✗" else ""
    if index == 5:
        return text, FINDINGS.get(text, "")
    return text.replace(" [", "\n[", 1).replace(" (", "\n(", 1) if index in (1, 3, 4) else text


def terminal(board: Board, metric: str) -> Table:
    """What fits a terminal; the page has the sub-scores."""
    shown = Table(title=f"{board.data}: verdict, score, cost; accepted variants first")
    kept = [0, 1, 2, 3, 4, 5, 12, 13, 14]
    heads = heads_of(metric)
    for index in kept:
        shown.add_column(
            heads[index].replace(" [", "\n["), justify="left" if index in (1, 5) else "right", overflow="fold"
        )
    for line in lines_of(board.view, metric):
        shown.add_row(*(line[index].replace(" [", "\n[", 1) if index in (3, 4) else line[index] for index in kept))
    return shown


def _number(value: float, digits: int = 3) -> str:
    return "–" if np.isnan(value) else f"{value:.{digits}f}"


def _span(value: float, low: float, high: float, signed: bool = False) -> str:
    if np.isnan(value):
        return "–"
    form = "+.3f" if signed else ".3f"
    return f"{value:{form}}" + ("" if np.isnan(low) else f" [{low:{form}}, {high:{form}}]")
