"""The set of tokens that figures were measured on, by its hash, and the metric with its version.

<run folder, or folder of an evaluation>/tokens.json    split -> hash, count, what was left out, tokens
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wotempo.navsim.files import write_bytes
from wotempo.navsim.scores import TITLES
from wotempo.records.evidence import token_hash
from wotempo.report.scores import NAMED

if TYPE_CHECKING:  # what a start of training would load with them
    import pandas as pd

    from wotempo.report.ablation import Job

FILE = "tokens.json"
OLDEST = TITLES["pdms"]  # by which all runs were scored before their tables named it
REFUSED = "figures of different token sets or metrics do not rank in one column"


def about_set(tokens: Sequence[str], left_out: Mapping[str, int], **counts: int) -> dict[str, Any]:
    """A token set for JSON. ``left_out``: reason -> tokens or windows that were asked for and are not in it."""
    about: dict[str, Any] = {"hash": token_hash(tokens), "count": len(tokens), "left_out": sum(left_out.values())}
    return {**about, **{name: count for name, count in counts.items() if count}}


def write_token_sets(folder: Path, sets: Mapping[str, Mapping[str, Any]], tokens: Mapping[str, Sequence[str]]) -> None:
    """``tokens.json``: the sets (by split) with their tokens."""
    content = {split: {**about, "tokens": list(tokens[split])} for split, about in sets.items()}
    write_bytes(folder / FILE, json.dumps(content).encode())


def in_words(about: Mapping[str, Any]) -> str:
    """'57 tokens, set 0123456789abcdef, 152 left out' of what ``about_set`` returned."""
    further = [f"{about[name]} {words}" for name, words in WORDS.items() if about.get(name)]
    return ", ".join([f"{about['count']} tokens", f"set {about['hash']}", *further])


WORDS = {"left_out": "left out", "masked": "with masked history", "failed": "that cannot be scored"}


class Measured(NamedTuple):
    """The metric's title and the hash of the tokens. Figures of equal ones rank in one column."""

    metric: str
    hash: str


@dataclass(frozen=True)
class Scored:
    """``recorded``: whether the table says so itself; tables from before do not, and their rows tell."""

    of: Measured
    count: int
    failed: int
    recorded: bool

    @classmethod
    def in_rows(cls, rows: pd.DataFrame) -> Scored:
        """Of a table of scores of one driver."""
        recorded = set(NAMED) <= set(rows)
        metric = str(rows["metric"].iloc[0]) if recorded and len(rows) else OLDEST
        failed = int((~rows["valid"]).sum()) if "valid" in rows else 0
        return cls(Measured(metric, token_hash(rows["token"])), rows["token"].nunique(), failed, recorded)

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        told = "" if self.recorded else " (told from the rows: the table names no token set)"
        return f"{self.of.metric} over {self.count} tokens, set {self.of.hash}{failed}{told}"

    @property
    def short(self) -> str:
        return f"{self.of.metric}, {self.count} tokens, set {self.of.hash}"


def with_columns(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A table of scores that names its metric and its token set."""
    return rows.assign(metric=metric, token_set=token_hash(rows["token"]))


def measured_on(jobs: Iterable[Job]) -> dict[Measured, Scored]:
    """Of the jobs that were scored, in their order; of equal ones the first that is recorded."""
    found: dict[Measured, Scored] = {}
    for job in jobs:
        if job.rows is not None:
            scored = Scored.in_rows(job.rows)
            if scored.of not in found or (scored.recorded and not found[scored.of].recorded):
                found[scored.of] = scored
    return found


def of_one_set(jobs: Sequence[Job], reference: str) -> tuple[list[Job], list[str]]:
    """The jobs, as not scored where they were scored on other tokens than the variant ``reference`` (or the first
    scored one), or by another metric; and a sentence about what the table is of."""
    found = measured_on([*(job for job in jobs if job.variant == reference), *jobs])
    if len(found) < 2:
        return list(jobs), [f"test split: {scored}" for scored in found.values()]
    first = next(iter(found.values()))
    other = [job for job in jobs if job.rows is not None and Scored.in_rows(job.rows).of != first.of]
    names = ", ".join(sorted({f"{job.variant}, seed {job.seed}" for job in other}))
    kept = [replace(job, rows=None) if any(job is one for one in other) else job for job in jobs]
    return kept, [f"{REFUSED}: the table is of {first.short}; not in it: {names}"]
