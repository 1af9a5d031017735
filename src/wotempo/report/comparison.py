"""Finished runs side by side, seeds together: what each side measured, and whether the difference is beyond noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from callbacks.base.markdown import one_line
from wotempo.errors import UserError
from wotempo.records.evidence import FINISHED
from wotempo.report.ablation import LOWER_IS_BETTER, SCORES, Job, finding, paired_difference
from wotempo.report.ablation import measured as criterion_measured
from wotempo.report.run_files import read_job
from wotempo.report.scores import bootstrap_interval
from wotempo.report.situation import PREFIX, SITUATIONS
from wotempo.report.token_set import REFUSED, measured_on
from wotempo.report.twins_compared import compared, same_pairs, tables_of

VARIED = ("seed=", "trial_")  # folders of runs in a sweep, in a search
SAME = ("data", "mode", "anchors", "scenes")  # facts in which a fair comparison does not differ
MEASURED = ("steps", "seconds_per_step", "memory", "parameters")
OLDEST = "wote"  # wotempo.planners.config.OLDEST: reports read files, and know no planners
ENOUGH = 3  # seeds: fewer are marked


@dataclass(frozen=True)
class Side:
    """The runs of one configuration, a seed each."""

    name: str
    jobs: list[Job]

    @property
    def accepted(self) -> bool:
        return all(job.accepted for job in self.jobs)

    @property
    def scored(self) -> dict[int, pd.DataFrame]:
        return {job.seed: job.rows for job in self.jobs if job.rows is not None}

    @property
    def marked(self) -> str:
        return self.name if self.accepted else f"✗ {self.name}"


@dataclass(frozen=True)
class Comparison:
    """``rows``: one per figure: name, ``a``, ``b``, ``difference`` (a - b), ``low``, ``high``, ``finding``, ``scenes``
    (of a seed); NaN, "" or 0 where there is none. ``notes``: sentences that belong below any table of it."""

    a: Side
    b: Side
    rows: pd.DataFrame
    notes: list[str]


def read_run(folder: Path) -> Job:
    """A run's folder, as ``train`` left it. UserError where it is none, or not finished."""
    job = read_job(folder)
    status = job.verdict["status"]
    if status not in FINISHED:
        raise UserError(f"{folder} is {status}: finish it first (make resume RUN={folder})")
    return job


def latest_finished(verdicts: Mapping[Path, Mapping[str, Any]], name: str) -> Path | None:
    """The run called ``name`` that ended last. Runs of a sweep or a search, which bear the name of what they vary, are
    none."""
    found = [
        (verdict["written"], folder)
        for folder, verdict in verdicts.items()
        if verdict["status"] in FINISHED and verdict["facts"].get("name") == name and not folder.name.startswith(VARIED)
    ]
    return max(found)[1] if found else None


def compare(a: Side, b: Side) -> Comparison:
    """All figures that both have. A difference is called better or worse only between accepted runs, and only where
    scenes were scored: over scenes that both drove, seed by seed, with an interval that draws seeds and whole logs."""
    names = [n for n in a.jobs[0].metrics if n.startswith("val/") and all(n in j.metrics for j in (*a.jobs, *b.jobs))]
    if planner_of(a) != planner_of(b):
        names = [name for name in names if name != "val/loss"]
    if other_validation(a, b):
        names = []
    rows = [_row(name, _mean(a, name), _mean(b, name)) for name in (*MEASURED, *names)]
    pairs = [] if len(measured_on([*a.jobs, *b.jobs])) > 1 else _pairs(a, b)
    if pairs:
        trusted = a.accepted and b.accepted
        for metric in (*SCORES, *LOWER_IS_BETTER):
            rows.append(_scored(pairs, metric, trusted, f"test/{metric}"))
        for kind in SITUATIONS:
            rows += _of_kind(pairs, kind, trusted)
    rows += _of_twins(a, b)
    return Comparison(a, b, pd.DataFrame(rows).set_index("name"), _notes(a, b, pairs))


def other_validation(a: Side, b: Side) -> str:
    """A sentence where the runs were validated on other tokens; '' where not, or where one does not say."""
    sets = [job.verdict["facts"].get("token_sets", {}).get("val") for job in (*a.jobs, *b.jobs)]
    known = {about["hash"]: f"{about['count']} tokens, set {about['hash']}" for about in sets if about is not None}
    return f"{REFUSED}: val/ is left out, validated were {' and '.join(known.values())}" if len(known) > 1 else ""


def planner_of(side: Side) -> str:
    """The planner that its runs trained; verdicts from before there were others name none."""
    return str(side.jobs[0].verdict["facts"].get("planner", OLDEST))


def measured(job: Job, name: str) -> float:
    """A metric of a run, or what else it measured; NaN where it did not."""
    if name == "steps":
        return float(job.verdict["steps"])
    if name == "parameters":
        return float(job.verdict["facts"].get("parameters", np.nan))
    if name == "memory":
        return criterion_measured(job.verdict, "memory")
    return job.metrics.get(name, np.nan)


def _mean(side: Side, name: str) -> float:
    return float(np.mean([measured(job, name) for job in side.jobs]))


def _row(
    name: str, a: float, b: float, low: float = np.nan, high: float = np.nan, found: str = "", scenes: int = 0
) -> dict[str, Any]:
    interval = {"low": low, "high": high, "finding": found}
    return {"name": name, "a": a, "b": b, "difference": a - b, **interval, "scenes": scenes}


Pairs = list[tuple[pd.DataFrame, pd.DataFrame]]  # of a and b, the same scenes in the same order; one pair a seed


def _pairs(a: Side, b: Side) -> Pairs:
    """Seed by seed; two runs alone are a pair, whatever their seeds."""
    ours, theirs = a.scored, b.scored
    if len(ours) == len(theirs) == 1:
        couples = [(next(iter(ours.values())), next(iter(theirs.values())))]
    else:
        couples = [(ours[seed], theirs[seed]) for seed in sorted(set(ours) & set(theirs))]
    pairs = []
    for mine, other in couples:
        tokens = sorted(set(mine["token"]) & set(other["token"]))
        pairs.append(tuple(side.set_index("token").loc[tokens].reset_index() for side in (mine, other)))
    return [(mine, other) for mine, other in pairs if len(mine)]


def _of_kind(pairs: Pairs, kind: str, trusted: bool) -> list[dict[str, Any]]:
    """Of the scenes of one kind; nothing where there are none, or their kinds were not stored."""
    column, chosen = f"{PREFIX}{kind}", []
    for mine, other in pairs:
        known = next((side[column].to_numpy(bool) for side in (mine, other) if column in side), None)
        if known is None or not known.any():
            return []
        chosen.append((mine[known], other[known]))
    return [_scored(chosen, metric, trusted, f"{kind}/{metric}") for metric in (*SCORES, *LOWER_IS_BETTER)]


def _scored(pairs: Pairs, metric: str, trusted: bool, name: str) -> dict[str, Any]:
    """Scene by scene, so that what makes one hard for both cancels."""
    ours, theirs = {}, {}
    for seed, (mine, other) in enumerate(pairs):
        known = mine[metric].notna().to_numpy() & other[metric].notna().to_numpy()
        ours[seed], theirs[seed] = mine[known], other[known]
    a, b = pd.concat(ours.values()), pd.concat(theirs.values())
    if not len(a):
        return _row(name, np.nan, np.nan)
    if len(pairs) > 1:
        mean, low, high = paired_difference(ours, theirs, metric)
    else:
        apart = a[metric].to_numpy(float) - b[metric].to_numpy(float)
        mean, (low, high) = float(apart.mean()), bootstrap_interval(apart, a["log"].to_numpy())
    found = finding(mean, low, high, metric, 0.0) if trusted and not np.isnan(low) else ""
    means, scenes = (float(a[metric].mean()), float(b[metric].mean())), max(len(mine) for mine, _ in pairs)
    return _row(name, *means, low, high, _with_seeds(found, len(pairs)), scenes)


def _of_twins(a: Side, b: Side) -> list[dict[str, Any]]:
    """Figures of twin scenes that both were measured in; see ``twins_compared``."""
    trusted, seeds = a.accepted and b.accepted, min(len(a.jobs), len(b.jobs))
    rows = []
    for row in compared(tables_of(a.jobs), tables_of(b.jobs)):
        known = trusted and not np.isnan(row["low"])
        found = finding(row["difference"], row["low"], row["high"], row["name"], 0.0) if known else ""
        figures = {name: figure for name, figure in row.items() if name != "pairs"}
        rows.append({**figures, "finding": _with_seeds(found, seeds), "scenes": 2 * row["pairs"]})
    return rows


def _with_seeds(found: str, seeds: int) -> str:
    if seeds >= ENOUGH:
        return found
    mark = "one run" if seeds == 1 else f"{seeds} runs"
    return f"{found} ({mark})" if found else mark


def _notes(a: Side, b: Side, pairs: Pairs) -> list[str]:
    notes = []
    seeds = min(len(a.jobs), len(b.jobs))
    if seeds == 1:
        notes.append("one run: a single seed, so a difference may be the seed's (make ablation-fusion trains three)")
    elif seeds < ENOUGH:
        notes.append(f"{seeds} runs: fewer than {ENOUGH} seeds, so a difference may be the seeds'")
    for job in (*a.jobs, *b.jobs):
        if not job.accepted:
            name = (a if job in a.jobs else b).name
            failed = ", ".join(c["name"] for c in job.verdict["criteria"] if c["status"] == "fail")
            of = f"{name}, seed {job.seed}," if seeds > 1 else name
            notes.append(f"✗ {of} is {job.verdict['status']} ({failed or 'see its verdict'}): nothing follows")
    facts = [side.jobs[0].verdict["facts"] for side in (a, b)]
    unlike = [key for key in SAME if facts[0].get(key) != facts[1].get(key)]
    if "anchors" in unlike and any("planner" in of and of.get("anchors") is None for of in facts):
        unlike.remove("anchors")  # a planner that chooses among none
    if len(planners := {planner_of(side) for side in (a, b)}) > 1:
        notes.append(f"val/loss is left out: the planners ({', '.join(sorted(planners))}) have other losses")
    if sorted(job.seed for job in a.jobs) != sorted(job.seed for job in b.jobs):
        unlike.insert(0, "seed")
    if unlike:
        notes.append(f"the runs differ in {', '.join(unlike)}: their figures do not compare")
    if _mean(a, "steps") != _mean(b, "steps"):
        notes.append("the runs took different numbers of steps")
    if sentence := other_validation(a, b):
        notes.append(sentence)
    sets = measured_on([*a.jobs, *b.jobs])
    if len(sets) > 1:
        each = [f"{side.name}: {' and '.join(map(str, measured_on(side.jobs).values()))}" for side in (a, b)]
        notes.append(f"{REFUSED}: test/ is left out. {'; '.join(each)}")
    elif sets:
        notes.append(f"test split: {next(iter(sets.values()))}")
    if len(sets) > 1:
        pass
    elif not a.scored or not b.scored:
        notes.append("no scores on the test split: train both with ARGS=test=true")
    elif not pairs:
        notes.append("no seed and scene was scored on both sides: no difference is paired")
    elif not any(f"{PREFIX}{SITUATIONS[0]}" in side for pair in pairs for side in pair):
        notes.append("no differences by situation: scored before situations were stored (remove test.parquet, and "
                     "type the run's command again with reuse=true test=true)")  # fmt: skip
    ours, theirs = tables_of(a.jobs), tables_of(b.jobs)
    if ours and theirs and not same_pairs(ours, theirs):
        notes.append(f"{REFUSED}: twins are left out, the pairs or the anchors of the two sides differ")
    if note := facts[0].get("note"):
        notes.append(note)
    return list(map(one_line, notes))
