"""Comparisons as one page that needs no server and no network."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from wotempo.report.ablation import SCORES
from wotempo.report.comparison import MEASURED, Comparison
from wotempo.report.curves import SETTINGS
from wotempo.report.html import facts, page, picture, section, table
from wotempo.report.situation import SITUATIONS

HEADLINE = "test/pdms"
INKS = {"better": "#1d7f46", "worse": "#b3261e"}
GREY = "#8a94a3"


def comparison_page(comparisons: Sequence[Comparison]) -> str:
    parts = [f"<h1>Comparison to {escape(comparisons[0].b.name)}</h1>", _summary(comparisons)]
    return page("comparison", [*parts, *(_one(comparison) for comparison in comparisons)])


def _summary(comparisons: Sequence[Comparison]) -> str:
    """One line a side: seeds, verdicts, quality, speed and memory, and what may be said."""
    rows = [_line(comparisons[0], "b", "reference")]
    rows += [_line(comparison, "a", sentence(comparison)) for comparison in comparisons]
    heads = ("", "seeds", "accepted", "PDMS", "s/step", "memory GB", "Δ PDMS [95 %]", "finding")
    rule = (
        "Differences are paired scene by scene and seed by seed; a 95 % interval draws seeds and whole logs with "
        "replacement. One that holds 0 is within noise. Fewer than three seeds are marked."
    )
    return section("Summary", table(heads, rows, numeric=heads[1:7]), f'<p class="note">{rule}</p>')


def _line(comparison: Comparison, which: str, said: str) -> list[str | tuple[str, str]]:
    side, rows = getattr(comparison, which), comparison.rows
    quality = rows.loc[HEADLINE, which] if HEADLINE in rows.index else np.nan
    figures = [number(value) for value in (quality, rows.loc["seconds_per_step", which], rows.loc["memory", which])]
    span = difference(rows.loc[HEADLINE]) if which == "a" and HEADLINE in rows.index else ""
    accepted = f"{sum(job.accepted for job in side.jobs)}/{len(side.jobs)}"
    seeds = ", ".join(str(job.seed) for job in side.jobs)
    return [(side.marked, "" if side.accepted else "fail"), seeds, accepted, *figures, span, (said, mark(said))]


def sentence(comparison: Comparison) -> str:
    """What may be said about side a, by PDMS."""
    a, b = comparison.a, comparison.b
    if not (a.accepted and b.accepted):
        return "not accepted: nothing follows"
    if HEADLINE not in comparison.rows.index:
        return "no scores on the test split"
    return str(comparison.rows.loc[HEADLINE, "finding"])


def mark(said: str) -> str:
    """The style's class of a finding."""
    word = said.split(" (")[0]
    return word if word in INKS else "noise"


def number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.4g}"


def difference(row: pd.Series) -> str:
    if np.isnan(row["difference"]):
        return "–"
    span = "" if np.isnan(row["low"]) else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
    return f"{row['difference']:+.3g}{span}"


def _one(comparison: Comparison) -> str:
    a, b, rows = comparison.a, comparison.b, comparison.rows
    notes = "".join(f'<p class="{"fail" if n.startswith("✗") else "note"}">{escape(n)}</p>' for n in comparison.notes)
    parts = [notes]
    scored = [f"test/{metric}" for metric in SCORES if f"test/{metric}" in rows.index]
    if scored:
        kinds = [f"{kind}/pdms" for kind in SITUATIONS if f"{kind}/pdms" in rows.index]
        parts.append(picture(_forest(rows.loc[[*scored, *kinds]]), "svg+xml",
                             f"{a.name} minus {b.name}, with 95 % intervals; grey: within noise"))  # fmt: skip
    groups = {
        "Quality on the test split": "test/",
        **{f"Of the scenes with: {kind}": f"{kind}/" for kind in SITUATIONS},
    }
    parts.append("<h3>Cost</h3>" + _table(a.marked, b.marked, rows.loc[list(MEASURED)]))
    for title, prefix in (groups | {"Validation": "val/"}).items():
        members = rows[[str(name).startswith(prefix) for name in rows.index]]
        if len(members):
            parts.append(f"<h3>{escape(title)}</h3>" + _table(a.marked, b.marked, members))
    commands = [
        (f"{s.name}, seed {j.seed}", str(j.verdict["facts"].get("command", "–"))) for s in (a, b) for j in s.jobs
    ]
    parts.append(f"<details><summary>The commands</summary>{facts(commands)}</details>")
    return section(f"{a.marked} against {b.marked}", *parts)


def _table(a: str, b: str, rows: pd.DataFrame) -> str:
    lines: list[list[str | tuple[str, str]]] = [
        [
            str(name).split("/")[-1],
            number(row["a"]),
            number(row["b"]),
            difference(row),
            (row["finding"], mark(row["finding"])),
        ]
        for name, row in rows.iterrows()
    ]
    return table(("", f"{a} ", b, "difference [95 %]", "finding"), lines, numeric=(f"{a} ", b, "difference [95 %]"))


def _forest(rows: pd.DataFrame) -> bytes:
    """Differences with their intervals, one line each."""
    with matplotlib.rc_context(SETTINGS):
        figure, axes = plt.subplots(figsize=(9, 0.6 + 0.27 * len(rows)), layout="constrained")
        for place, (_, row) in enumerate(rows.iterrows()):
            ink = INKS.get(mark(row["finding"]), GREY)
            axes.plot(row["difference"], place, "o", color=ink)
            if not np.isnan(row["low"]):
                axes.plot((row["low"], row["high"]), (place, place), color=ink, lw=2)
        axes.axvline(0, color="#444", lw=0.8)
        axes.set_yticks(range(len(rows)), [str(name).replace("test/", "") for name in rows.index])
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.25)
        axes.set_xlabel("difference of the score (0 to 1)")
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
        plt.close(figure)
    return file.getvalue()
