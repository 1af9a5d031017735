"""The figures of twin scenes of several runs: of a variant over its seeds, and paired differences of two of them.

Pairs are drawn by district, seeds with replacement where there are several, the same for both sides: what makes a pair
hard for all cancels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from wotempo.report.ablation import Job, paired_difference, score_interval, value
from wotempo.report.numbers import span
from wotempo.report.twins import ALL, SHOWN, TITLES, by_district, by_kind, paired_interval, with_interval

DIFFERS = "share"  # half a share is half of the headroom: the figure in which variants are held against each other
Tables = Mapping[int, pd.DataFrame]  # seed -> one row a pair


def tables_of(jobs: Sequence[Job]) -> dict[int, pd.DataFrame]:
    """Of the runs that were measured in twins; ``log`` is the district, by which everything is drawn."""
    return {job.seed: by_district(job.twins) for job in jobs if job.twins is not None}


def same_pairs(a: Tables, b: Tables) -> bool:
    """Whether all tables are of the very same pairs and anchors: their names and bounds agree."""
    first, *others = [frame.sort_values("pair") for frame in (*a.values(), *b.values())]
    return all(
        list(first["pair"]) == list(other["pair"])
        and np.allclose(first[["blind", "knowing"]], other[["blind", "knowing"]])
        for other in others
    )


def of_variant(own: Tables, reference: Tables) -> dict[str, float]:
    """For a table of variants: each of ``SHOWN`` with ``_low`` and ``_high``, and of ``DIFFERS`` the difference to the
    reference with its interval, where both are of the same pairs; NaN where there is none."""
    found = {}
    for figure in SHOWN:
        found[figure] = value(pd.concat(own.values()), figure) if own else np.nan
        found[f"{figure}_low"], found[f"{figure}_high"] = _interval(own, figure)
    against = reference if own and reference and same_pairs(own, reference) else {}
    names = ("twin_difference", "twin_low", "twin_high")
    return found | dict(zip(names, _apart(own, against, DIFFERS), strict=True))


def with_twins(view: pd.DataFrame, jobs: Sequence[Job], reference: str) -> pd.DataFrame:
    """A table of variants (``ablation.summarise``) with the columns of ``of_variant``, where any of its runs was
    measured in twins; else as it is. A variant's figures are those of its accepted runs, as they are there."""
    if all(job.twins is None for job in jobs):
        return view
    members = {name: [job for job in jobs if job.variant == name] for name in view.index}
    tables = {name: tables_of([job for job in of if job.accepted] or of) for name, of in members.items()}
    against = tables.get(reference, {})
    added = {name: of_variant(own, {} if name == reference else against) for name, own in tables.items()}
    return view.join(pd.DataFrame.from_dict(added, orient="index"))


def heads_of(view: pd.DataFrame) -> list[str]:
    """Headings of the columns that ``cells_of`` fills; none where the table has none of them."""
    return [*(f"{TITLES[name]} [95 %]" for name in SHOWN), "Δ share [95 %]"] if SHOWN[0] in view else []


def cells_of(row: pd.Series) -> list[str]:
    """The text of a variant's figures in twins; none where the table has none."""
    if SHOWN[0] not in row:
        return []
    form = {"pair_accuracy": ".3f", "swap_gain": "+.3f", "share": "+.2f"}
    cells = [span(row[name], row[f"{name}_low"], row[f"{name}_high"], form[name]) for name in SHOWN]
    return [*cells, span(row["twin_difference"], row["twin_low"], row["twin_high"], "+.2f")]


def compared(a: Tables, b: Tables) -> list[dict[str, Any]]:
    """Rows of a comparison: name ("twins/share", "twins of lead/share"), a, b, difference, low, high, pairs."""
    if not a or not b or not same_pairs(a, b):
        return []
    rows = []
    for kind in by_kind(next(iter(a.values()))):
        ours, theirs = ({seed: by_kind(of)[kind] for seed, of in side.items()} for side in (a, b))
        for figure in TITLES:
            values = [value(pd.concat(side.values()), figure) for side in (ours, theirs)]
            if np.isnan(values).any():
                continue
            difference, low, high = _apart(ours, theirs, figure)
            name = f"twins/{figure}" if kind == ALL else f"twins of {kind}/{figure}"
            rows.append({"name": name, "a": values[0], "b": values[1], "difference": difference, "low": low,
                         "high": high, "pairs": len(next(iter(ours.values())))})  # fmt: skip
    return rows


def _interval(own: Tables, figure: str) -> tuple[float, float]:
    if len(own) == 1:
        return with_interval(next(iter(own.values())), figure)[1:]
    return score_interval(dict(own), figure)


def _apart(ours: Tables, theirs: Tables, figure: str) -> tuple[float, float, float]:
    """Seed by seed; two runs alone are a pair, whatever their seeds."""
    if len(ours) == len(theirs) == 1:
        return paired_interval(next(iter(ours.values())), next(iter(theirs.values())), figure)
    common = sorted(set(ours) & set(theirs))
    if len(common) == 1:
        return paired_interval(ours[common[0]], theirs[common[0]], figure)
    return paired_difference(dict(ours), dict(theirs), figure)
