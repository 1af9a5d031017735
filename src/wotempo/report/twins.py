"""The figures of twin scenes, read from a table with one row a pair (``twins.parquet``), with their intervals.

Every figure is a ratio of sums over pairs, so that one bootstrap serves all of them. Intervals draw whole districts:
pairs of one district share streets and buildings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from rich.table import Table

from wotempo.report.numbers import span
from wotempo.report.scores import DRAWS, interval

TWINS_FILE = "twins.parquet"  # of a run or an evaluation, beside its scores
TEXTS = ("driver", "pair", "kind", "split")
NUMBERS = ("district", "blind", "knowing", "pdms", "swapped", "chosen", "accuracy", "accuracy_nc", "accuracy_ttc")
TITLES = {
    "pair_accuracy": "pair accuracy",
    "swap_gain": "swap gain",
    "share": "share of headroom",
    "chosen_share": "share by the chosen anchors",
    "accuracy_nc": "pair accuracy, NC",
    "accuracy_ttc": "pair accuracy, TTC",
}
SHOWN = ("pair_accuracy", "swap_gain", "share")  # in tables of several runs
BOUND = {"blind": "blind bound", "knowing": "with history", "headroom": "headroom"}
ALL = "all kinds"


def read_twin_rows(file: Path) -> pd.DataFrame:
    """``twins.parquet`` of a run: the rows of its driver. ValueError where it lacks what every run writes, or holds it
    in another kind."""
    with file.open("rb") as opened:
        rows = pd.read_parquet(opened)
    if lacks := [name for name in (*TEXTS, *NUMBERS) if name not in rows]:
        raise ValueError(f"it lacks {', '.join(lacks)}")
    texts = all(rows[name].map(lambda text: isinstance(text, str)).all() for name in TEXTS)
    numbers = all(is_numeric_dtype(rows[name]) and rows[name].dtype != bool for name in NUMBERS)
    if not texts or not numbers or not len(rows):
        raise ValueError("a column is of another kind than runs write")
    if rows["pair"].duplicated().any():
        raise ValueError("a pair stands twice in it")
    known = rows[["district", "blind", "knowing", "pdms", "swapped"]].to_numpy(float)
    figures = rows[[*NUMBERS[1:]]].to_numpy(float)  # NaN where the planner has none
    if not np.isfinite(known).all() or (figures < 0).any() or (figures > 1).any():
        raise ValueError("a figure in it is no number from 0 to 1")
    return rows


def ratio(rows: pd.DataFrame, figure: str) -> tuple[pd.Series, pd.Series]:
    """Numerator and denominator of a figure of ``TITLES`` or ``BOUND``, per pair."""
    one = pd.Series(1.0, rows.index)
    if figure in ("share", "chosen_share"):
        reached = rows["pdms" if figure == "share" else "chosen"] - rows["blind"]
        room = (rows["knowing"] - rows["blind"]).where(reached.notna(), 0.0)
        return reached.fillna(0.0), room
    if figure == "swap_gain":
        return rows["pdms"] - rows["swapped"], one
    if figure == "headroom":
        return rows["knowing"] - rows["blind"], one
    column = rows["accuracy" if figure == "pair_accuracy" else figure]
    return column.fillna(0.0), column.notna().astype(float)


def by_district(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with their district as ``log``, by which tables of scores are drawn."""
    return rows.assign(log=rows["district"].astype(str))


def with_interval(rows: pd.DataFrame, figure: str, seed: int = 0) -> tuple[float, float, float]:
    """(figure, low, high), the 95 % interval over districts drawn with replacement; NaN where there is nothing to
    measure, and for the interval where fewer than two districts have something."""
    values, drawn = _drawn([rows], figure, seed)
    return values[0], *_middle(drawn[0])


def paired_interval(rows: pd.DataFrame, others: pd.DataFrame, figure: str, seed: int = 0) -> tuple[float, float, float]:
    """The first table's figure less the second's, of the same pairs; see ``with_interval``. Drawn alike."""
    values, drawn = _drawn([rows, others], figure, seed)
    return values[0] - values[1], *_middle(drawn[0] - drawn[1])


def _drawn(tables: Sequence[pd.DataFrame], figure: str, seed: int) -> tuple[list[float], list[np.ndarray]]:
    """Of each table the figure, and (DRAWS,) figures of drawn districts; NaN where they say nothing."""
    sums = []
    for rows in tables:
        above, below = ratio(rows, figure)
        parts = pd.DataFrame({"district": rows["district"], "n": above, "d": below})
        sums.append(parts.groupby("district")[["n", "d"]].sum())
    told = np.logical_or.reduce([(part != 0).any(axis=1).to_numpy() for part in sums])
    n, d = (np.stack([part[name].to_numpy()[told] for part in sums]) for name in ("n", "d"))  # (tables, districts)
    known = (d.sum(1) != 0).all()
    values = (n.sum(1) / d.sum(1)).tolist() if known else [np.nan] * len(sums)
    nothing = [np.full(DRAWS, np.nan)] * len(sums)
    if not known or told.sum() < 2:
        return values, nothing
    which = np.random.default_rng(seed).integers(0, told.sum(), (DRAWS, told.sum()))
    n, d = n[:, which].sum(2), d[:, which].sum(2)
    return values, list(n / d) if (d != 0).all() else nothing


def _middle(drawn: np.ndarray) -> tuple[float, float]:
    return (np.nan, np.nan) if np.isnan(drawn).any() else interval(drawn)


def by_kind(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """All pairs, then those of each kind."""
    kinds = {str(kind): of for kind, of in rows.groupby("kind", sort=True)}
    return {ALL: rows, **kinds} if len(kinds) > 1 else {ALL: rows}


def by_driver(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each driver, in their order."""
    return {str(driver): of for driver, of in rows.groupby("driver", sort=False)}


def about_twins(rows: pd.DataFrame) -> dict[str, Any]:
    """For JSON: ``bound``, the same of all drivers, and ``drivers``, each as ``summary`` has it."""
    drivers = by_driver(rows)
    bound = summary(next(iter(drivers.values())), BOUND)
    return {"bound": bound, "drivers": {driver: summary(of, TITLES) for driver, of in drivers.items()}}


def terminal(rows: pd.DataFrame, split: str) -> Table:
    """Bound and measures by kind and driver."""
    shown = Table(title=f"twin scenes of {split}: means over pairs, 95 % intervals over districts")
    figures = {**dict.fromkeys(("blind", "knowing")), **dict.fromkeys(SHOWN)}
    for head in ("kind", "driver", "pairs", *(BOUND.get(name) or TITLES[name] for name in figures)):
        shown.add_column(head, justify="left" if head in ("kind", "driver") else "right")
    of_drivers = {driver: lines(of, figures) for driver, of in by_driver(rows).items()}
    for place in range(len(next(iter(of_drivers.values())))):
        for driver, of in of_drivers.items():
            kind, pairs, *cells = of[place]
            shown.add_row(kind, driver, pairs, *(cell.replace(" [", "\n[") for cell in cells))
    return shown


def bound_table(rows: pd.DataFrame, split: str) -> Table:
    """The bound by kind; of NC and TTC what the anchors that are best by PDMS have, and behind the bar the most that a
    choice by this sub-score alone reaches."""
    shown = Table(title=f"twin scenes of {split}: best choice among the anchors, means over pairs, 95 % over districts")
    parts = [f"{name.upper()} {how}" for name in ("nc", "ttc") for how in ("blind", "with history")]
    for head in ("kind", "pairs", "districts", *BOUND.values(), *parts):
        shown.add_column(head, justify="left" if head == "kind" else "right")
    for kind, of in by_kind(rows).items():
        cells = [span(*with_interval(of, figure)).replace(" [", "\n[") for figure in BOUND]
        for name in ("nc", "ttc"):
            cells += [
                f"{of[f'{choice}_{name}'].mean():.3f} | {of[f'most_{choice}_{name}'].mean():.3f}"
                for choice in ("blind", "knowing")
            ]
        shown.add_row(kind, str(len(of)), str(of["district"].nunique()), *cells)
    return shown


def summary(rows: pd.DataFrame, figures: Iterable[str]) -> dict[str, dict[str, Any]]:
    """For JSON: kind -> pairs, districts and [figure, low, high] of each of ``figures`` that is known."""
    found = {}
    for kind, of in by_kind(rows).items():
        known = {figure: list(with_interval(of, figure)) for figure in figures}
        clean = {name: [v for v in values if not np.isnan(v)] for name, values in known.items()}
        counts = {"pairs": len(of), "districts": int(of["district"].nunique())}
        found[kind] = {**counts, **{name: values for name, values in clean.items() if values}}
    return found


def lines(rows: pd.DataFrame, figures: Iterable[str]) -> list[list[str]]:
    """Rows of a table: kind, pairs, and the text of each figure with its interval."""
    form = {"swap_gain": "+.3f", "share": "+.2f", "chosen_share": "+.2f"}
    return [
        [kind, str(len(of)), *(span(*with_interval(of, figure), form.get(figure, ".3f")) for figure in figures)]
        for kind, of in by_kind(rows).items()
    ]
