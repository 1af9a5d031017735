"""Two finished runs side by side: what each measured, and the difference, as far as one run each can tell."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wotempo.errors import UserError
from wotempo.report.ablation import LOWER_IS_BETTER, SCORES, Job, finding
from wotempo.report.scores import bootstrap_interval

FINISHED = ("accepted", "rejected")
SAME = ("data", "seed", "mode", "anchors", "scenes")  # facts in which a fair comparison does not differ


@dataclass(frozen=True)
class Comparison:
    """``rows``: one per figure: name, ``a``, ``b``, ``difference`` (a - b), ``low``, ``high``, ``finding``; NaN or ""
    where there is none. ``notes``: sentences that belong below any table of it."""

    a: Job
    b: Job
    rows: pd.DataFrame
    notes: list[str]


def read_run(folder: Path) -> Job:
    """A run's folder, as ``train`` left it. UserError where it is none, or not finished."""
    file = folder / "verdict.json"
    if not file.is_file():
        raise UserError(f"{folder} holds no verdict.json: name the folder of a run")
    verdict = json.loads(file.read_text())
    if verdict["status"] not in FINISHED:
        raise UserError(f"{folder} is {verdict['status']}: finish it first (make resume RUN={folder})")
    metrics = folder / "metrics.json"
    scores = folder / "test.parquet"
    return Job(
        verdict["facts"].get("name", folder.name),
        int(verdict["facts"].get("seed", 0)),
        verdict,
        json.loads(metrics.read_text()) if metrics.is_file() else {},
        pd.read_parquet(scores) if scores.is_file() else None,
    )


def latest_finished(root: Path, name: str) -> Path | None:
    """The run called ``name`` below ``root`` that ended last."""
    found = []
    for file in root.rglob("verdict.json"):
        verdict = json.loads(file.read_text())
        if verdict["status"] in FINISHED and verdict["facts"].get("name") == name:
            found.append((verdict["written"], file.parent))
    return max(found)[1] if found else None


def compare(a: Job, b: Job) -> Comparison:
    """All figures that both have. A difference is called better or worse only between two accepted runs, and only where
    scenes were scored, with an interval over logs."""
    rows = [_row(name, _measured(a, name), _measured(b, name)) for name in ("steps", "seconds_per_step", "memory")]
    names = [name for name in a.metrics if name.startswith("val/") and name in b.metrics]
    rows += [_row(name, a.metrics[name], b.metrics[name]) for name in names]
    if a.rows is not None and b.rows is not None:
        trusted = a.accepted and b.accepted
        rows += [_scored(a.rows, b.rows, metric, trusted) for metric in (*SCORES, *LOWER_IS_BETTER)]
    return Comparison(a, b, pd.DataFrame(rows).set_index("name"), _notes(a, b))


def _measured(job: Job, name: str) -> float:
    if name == "steps":
        return float(job.verdict["steps"])
    if name == "memory":
        values = (c["measured"] for c in job.verdict["criteria"] if c["name"] == "memory")
        value = next(values, None)
        return np.nan if value is None else float(value)
    return job.metrics.get(name, np.nan)


def _row(name: str, a: float, b: float, low: float = np.nan, high: float = np.nan, said: str = "") -> dict[str, Any]:
    return {"name": name, "a": a, "b": b, "difference": a - b, "low": low, "high": high, "finding": said}


def _scored(a: pd.DataFrame, b: pd.DataFrame, metric: str, trusted: bool) -> dict[str, Any]:
    """Scene by scene, so that what makes one hard for both cancels; the interval draws whole logs."""
    both = a.merge(b, on="token", suffixes=("_a", "_b")).dropna(subset=[f"{metric}_a", f"{metric}_b"])
    ours, theirs = both[f"{metric}_a"].to_numpy(float), both[f"{metric}_b"].to_numpy(float)
    if len(both) == 0:
        return _row(f"test/{metric}", np.nan, np.nan)
    low, high = bootstrap_interval(ours - theirs, both["log_a"].to_numpy())
    mean = float((ours - theirs).mean())
    said = f"{finding(mean, low, high, metric, 0.0)} (one run)" if trusted and not np.isnan(low) else "one run"
    return _row(f"test/{metric}", float(ours.mean()), float(theirs.mean()), low, high, said)


def _notes(a: Job, b: Job) -> list[str]:
    notes = ["one run: a single seed each, so a difference may be the seed's (make ablation-fusion trains three)"]
    for job in (a, b):
        if not job.accepted:
            failed = ", ".join(c["name"] for c in job.verdict["criteria"] if c["status"] == "fail")
            notes.append(f"✗ {job.variant} is {job.verdict['status']} ({failed or 'see its verdict'}): nothing follows")
    facts = [job.verdict["facts"] for job in (a, b)]
    if unlike := [key for key in SAME if facts[0].get(key) != facts[1].get(key)]:
        notes.append(f"the runs differ in {', '.join(unlike)}: their figures do not compare")
    if a.verdict["steps"] != b.verdict["steps"]:
        notes.append("the runs took different numbers of steps")
    if a.rows is None or b.rows is None:
        notes.append("no scores on the test split: train both with ARGS=test=true")
    if note := facts[0].get("note"):
        notes.append(note)
    return notes
