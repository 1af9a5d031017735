"""Comparisons as one page that needs no server and no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from wotempo.program import shell_line_of
from wotempo.report.ablation import SCORES
from wotempo.report.comparison import MEASURED, Comparison, Side
from wotempo.report.curves import SETTINGS, svg
from wotempo.report.glossary import GLOSSARY, word
from wotempo.report.html import beside, facts, note, page, picture, section, table
from wotempo.report.numbers import span
from wotempo.report.situation import SITUATIONS

HEADLINE = "test/pdms"
INKS = {"better": "#1d7f46", "worse": "#b3261e"}
GREY = "#8a94a3"


def comparison_page(comparisons: Sequence[Comparison]) -> str:
    parts = [f"<h1>Comparison with {escape(comparisons[0].b.name)}, the reference</h1>", _summary(comparisons)]
    return page("comparison", [*parts, *(_one(comparison) for comparison in comparisons)])


def _summary(comparisons: Sequence[Comparison]) -> str:
    """One line a side: seeds, verdicts, quality, speed and memory, and the finding."""
    rows = [_line(comparisons[0], "b", "reference")]
    rows += [_line(comparison, "a", sentence(comparison)) for comparison in comparisons]
    heads = ("", "seeds", "accepted", "PDMS", "s/step", "memory GB", "Δ PDMS [95 %]", "finding")
    rule = (
        "Differences are paired scene by scene and seed by seed; a 95 % interval draws seeds and whole logs with "
        "replacement. One that holds 0 is within noise; of twenty differences one stands out by chance. "
        "Fewer than three seeds are marked."
    )
    return section("Summary", table(heads, rows, numeric=heads[1:7]), note(rule), note(GLOSSARY))


def _line(comparison: Comparison, which: str, found: str) -> list[str | tuple[str, str]]:
    side, rows = getattr(comparison, which), comparison.rows
    quality = rows.loc[HEADLINE, which] if HEADLINE in rows.index else np.nan
    figures = [number(value) for value in (quality, rows.loc["seconds_per_step", which], rows.loc["memory", which])]
    apart = difference(rows.loc[HEADLINE]) if which == "a" and HEADLINE in rows.index else ""
    accepted = f"{sum(job.accepted for job in side.jobs)}/{len(side.jobs)}"
    seeds = ", ".join(str(job.seed) for job in side.jobs)
    return [(side.marked, "" if side.accepted else "fail"), seeds, accepted, *figures, apart, (found, mark(found))]


def sentence(comparison: Comparison) -> str:
    """The finding on side a, by PDMS: see ``ablation.finding``; or why there is none."""
    a, b = comparison.a, comparison.b
    if not (a.accepted and b.accepted):
        return "not accepted: nothing follows"
    if HEADLINE not in comparison.rows.index:
        return "no scores on the test split"
    return str(comparison.rows.loc[HEADLINE, "finding"])


def mark(found: str) -> str:
    """The style's class of a finding."""
    word = found.split(" (")[0]
    return word if word in INKS else "noise"


def number(value: float) -> str:
    """Three digits behind the point, where they say something."""
    if np.isnan(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2g}" if abs(value) < 1e-3 else f"{value:.3f}"


def difference(row: pd.Series) -> str:
    if np.isnan(row["difference"]) or not np.isnan(row["low"]):
        return span(row["difference"], row["low"], row["high"], "+.3f")
    return f"{'-' if row['difference'] < 0 else '+'}{number(abs(row['difference']))}"


def _one(comparison: Comparison) -> str:
    a, b, rows = comparison.a, comparison.b, comparison.rows
    notes = "".join(f'<p class="{"fail" if n.startswith("✗") else "note"}">{escape(n)}</p>' for n in comparison.notes)
    parts = [notes]
    scored = [f"test/{metric}" for metric in SCORES if f"test/{metric}" in rows.index]
    if scored:
        kinds = [f"{kind}/pdms" for kind in SITUATIONS if f"{kind}/pdms" in rows.index]
        parts.append(picture(_forest(rows.loc[[*scored, *kinds]]), "svg+xml",
                             f"{a.name} minus {b.name}, with 95 % intervals; grey: within noise"))  # fmt: skip
    groups = {"The test split": "test/", **{f"Scenes with: {kind}": f"{kind}/" for kind in SITUATIONS}}
    quality = [_table(title, a, b, of) for title, prefix in groups.items() if len(of := _below(prefix, rows))]
    for of in dict.fromkeys(str(name).rpartition("/")[0] for name in rows.index if str(name).startswith("twins")):
        quality.append(_table(of.capitalize(), a, b, _below(f"{of}/", rows)))
    further = {"Validation": _below("val/", rows), "Cost": rows.loc[list(MEASURED)]}
    parts.append(beside(quality))
    parts.append(beside(_table(title, a, b, of) for title, of in further.items() if len(of)))
    commands = [
        (f"{s.name}, seed {j.seed}", shell_line_of(j.verdict["facts"].get("command"))) for s in (a, b) for j in s.jobs
    ]
    parts.append(f"<details><summary>The commands</summary>{facts(commands)}</details>")
    return section(f"{a.marked} against {b.marked}", *parts)


def _below(prefix: str, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[[str(name).startswith(prefix) for name in rows.index]]


def _table(title: str, a: Side, b: Side, rows: pd.DataFrame) -> str:
    """Intervals and findings only where there are some."""
    scenes = int(rows["scenes"].max())
    heading = f"<h3>{escape(title)}{f' ({scenes} scenes)' if scenes else ''}</h3>"
    judged = bool((rows["finding"] != "").any())
    heads = ["", f"{a.marked} ", b.marked, "difference"]
    if judged:
        heads[3:] = ["difference [95 %]", "finding"]
    lines: list[list[str | tuple[str, str]]] = []
    for name, row in rows.iterrows():
        cells: list[str | tuple[str, str]] = [word(str(name).split("/")[-1]), number(row["a"]), number(row["b"])]
        found = [(row["finding"], mark(row["finding"]))] if judged else []
        lines.append([*cells, difference(row).replace(" [", "\n["), *found])
    return f"<div>{heading}{table(heads, lines, numeric=heads[1:4])}</div>"


def _forest(rows: pd.DataFrame) -> bytes:
    """Differences with their intervals, one line each."""
    with matplotlib.rc_context(SETTINGS):
        figure, axes = plt.subplots(figsize=(10.2, 0.6 + 0.27 * len(rows)), layout="constrained")
        for place, (_, row) in enumerate(rows.iterrows()):
            ink = INKS.get(mark(row["finding"]), GREY)
            axes.plot(row["difference"], place, "o", color=ink)
            if not np.isnan(row["low"]):
                axes.plot((row["low"], row["high"]), (place, place), color=ink, lw=2)
        axes.axvline(0, color="#444", lw=0.8)
        axes.set_yticks(range(len(rows)), [_place(str(name)) for name in rows.index])
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.25)
        axes.set_xlabel("difference of the score, which is from 0 to 1: right of 0 is better")
        return svg(figure)


def _place(name: str) -> str:
    """ "test/nc" -> "NC", "turn/pdms" -> "PDMS, turn"."""
    where, _, metric = name.partition("/")
    return word(metric) if where == "test" else f"{word(metric)}, {where}"
