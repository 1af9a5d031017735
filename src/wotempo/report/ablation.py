"""An ablation read from the folders of its jobs: one row per variant, and paired differences to the reference.

A job is a folder ``<variant>/seed=<n>`` with ``verdict.json``, ``metrics.json`` and ``test.parquet``. Every figure is a
ratio of sums over (seed, log), so one bootstrap serves means of scores and overlaps of maps alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from callbacks.base.markdown import one_line
from wotempo.records.evidence import token_hash
from wotempo.records.forms import ABSENT
from wotempo.records.reading import ALTERED, METRICS_FILE, Damaged, read_metrics, read_verdict, spared
from wotempo.report.marks import marks
from wotempo.report.numbers import as_number
from wotempo.report.scores import DRAWS, interval
from wotempo.report.situation import PREFIX
from wotempo.report.twins import TITLES as TWIN_FIGURES
from wotempo.report.twins import TWINS_FILE, ratio, read_twin_rows

VEHICLE = 5  # BevClass.VEHICLE
SCORES = ("pdms", "nc", "dac", "ep", "ttc", "comfort", "ddc")
LOWER_IS_BETTER = ("ade", "fde")
OVERLAPS = ("future_both_", "future_any_")  # and a class: cells in both maps, cells in either
METRICS = (*SCORES, *LOWER_IS_BETTER, "future_vehicle_iou")


NO_VERDICT: dict[str, Any] = {**ABSENT, "status": "incomplete", "exit_code": 15, "facts": {}}


@dataclass(frozen=True)
class Job:
    """One run of an ablation. ``rows``: its test.parquet; None where there is none. ``damage``: a sentence on each
    of its files that was passed over. ``twins``: its twins.parquet; None where the test split has no twin scenes."""

    variant: str
    seed: int
    verdict: dict[str, Any]
    metrics: dict[str, float]
    rows: pd.DataFrame | None
    damage: tuple[str, ...] = ()
    twins: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "variant", one_line(self.variant))

    @property
    def accepted(self) -> bool:
        return self.verdict["status"] == "accepted"


def job_of(folder: Path, verdict: dict[str, Any], variant: str, seed: int, notes: Sequence[str] = ()) -> Job:
    """With the metrics and the scores that lie in ``folder``. ``notes``: what was passed over before."""
    damage = [*notes]
    metrics = spared(folder / METRICS_FILE, read_metrics, dict[str, float](), damage)
    rows = spared(folder / "test.parquet", read_rows, None, damage)
    twins = spared(folder / TWINS_FILE, read_twin_rows, None, damage)
    return Job(variant, seed, verdict, metrics, rows, tuple(damage), twins)


def read_rows(file: Path) -> pd.DataFrame:
    """test.parquet of a run. ValueError where it lacks what every run writes, or holds it in another kind."""
    with file.open("rb") as opened:
        rows = pd.read_parquet(opened)
    texts, figures = ("token", "log"), (*SCORES, *LOWER_IS_BETTER)
    if lacks := [name for name in (*texts, *figures) if name not in rows]:
        raise ValueError(f"it lacks {', '.join(lacks)}")
    counted = [name for name in rows if str(name).startswith(("future_", PREFIX))]
    classes = [[str(name)[len(prefix) :] for name in rows if str(name).startswith(prefix)] for prefix in OVERLAPS]
    if classes[0] != classes[1]:
        raise ValueError("its counts of overlapping cells are not those of the same classes")
    numeric = [is_numeric_dtype(rows[name]) for name in (*figures, *counted)]
    if not all(numeric) or not rows["token"].map(lambda token: isinstance(token, str)).all():
        raise ValueError("a column is of another kind than runs write")
    truths = [name for name in rows if name == "valid" or str(name).startswith(PREFIX)]
    if wrong := [name for name in truths if rows[name].dtype != bool]:
        raise ValueError(f"its column {wrong[0]} holds other values than True and False")
    if "token_set" in rows and set(rows["token_set"]) != {token_hash(rows["token"])}:
        raise ValueError("its rows are not those of the token set that it names")
    whole = {"valid": True, "reason": ""} | {name: rows[name] for name in ("valid", "reason") if name in rows}
    return rows.assign(**whole)


def read_jobs(sweep_dir: Path) -> list[Job]:
    """Every job that began, in the order in which they began; one without a verdict is ``incomplete``, and one whose
    verdict cannot be read ``damaged``."""
    folders = sorted(sweep_dir.glob("*/seed=*"), key=lambda folder: folder.stat().st_ctime)
    names = short_names([folder.parent.name for folder in folders])
    return [began(folder, names[folder.parent.name], seed_of(folder)) for folder in folders]


def seed_of(folder: Path) -> int:
    """Of a folder ``seed=<n>``; 0 where something else stands there."""
    text = folder.name.removeprefix("seed=")
    return int(text) if text.isdecimal() else 0


def began(folder: Path, variant: str, seed: int) -> Job:
    """The job in a folder, whatever is left of it."""
    try:
        return job_of(folder, read_verdict(folder) or NO_VERDICT, variant, seed)
    except Damaged as damage:
        lost = {**NO_VERDICT, "status": "damaged", "reason": str(damage)}
        return job_of(folder, lost, variant, seed, [f"passed over: {damage}"])


def short_names(folders: Sequence[str]) -> dict[str, str]:
    """Folder -> variant: its overrides without those that all jobs share and without the keys of config groups."""
    parts = {folder: folder.split(",") for folder in folders}
    shared = set.intersection(*(set(p) for p in parts.values())) if len(parts) > 1 else set()
    names = {}
    for folder, overrides in parts.items():
        own = [text for text in overrides if text not in shared] or overrides
        names[folder] = " ".join(text.removeprefix("variant=").removeprefix("fusion=") for text in own)
    return names


def fraction(rows: pd.DataFrame, metric: str) -> tuple[pd.Series, pd.Series]:
    """Numerator and denominator of a metric, per row. A failed plan scores 0 and has no displacement."""
    if metric in TWIN_FIGURES:  # of a table with one row a pair
        return ratio(rows, metric)
    if metric == "future_vehicle_iou" and f"future_any_{VEHICLE}" not in rows:  # the planner imagines no future
        return pd.Series(0.0, rows.index), pd.Series(0.0, rows.index)
    if metric == "future_vehicle_iou":
        return rows[f"future_both_{VEHICLE}"].astype(float), rows[f"future_any_{VEHICLE}"].astype(float)
    known = rows[metric].notna()
    return rows[metric].fillna(0.0), known.astype(float)


def value(rows: pd.DataFrame, metric: str) -> float:
    numerator, denominator = fraction(rows, metric)
    return float(numerator.sum() / denominator.sum()) if denominator.sum() else np.nan


def future_miou(rows: pd.DataFrame) -> float:
    """Of the imagined map in 4 s, mean over the classes that occur, each over all cells of all rows."""
    both, either = ([rows[c].sum() for c in rows if c.startswith(prefix)] for prefix in OVERLAPS)
    seen = [b / e for b, e in zip(both, either, strict=True) if e]
    return float(np.mean(seen)) if seen else np.nan


def paired_difference(
    rows: dict[int, pd.DataFrame], reference: dict[int, pd.DataFrame], metric: str, seed: int = 0
) -> tuple[float, float, float]:
    """Variant minus reference of a metric over the seeds both have, and the 95 % interval (low, high).

    Seeds and logs are drawn with replacement, the same for both sides, so that what makes a scene hard for all
    cancels. NaN where fewer than two seeds or two logs are left: they say nothing about the next one.
    """
    seeds = sorted(set(rows) & set(reference))
    if not seeds:
        return np.nan, np.nan, np.nan
    values, drawn = _drawn([{s: side[s] for s in seeds} for side in (rows, reference)], metric, seed)
    return values[0] - values[1], *interval(drawn[0] - drawn[1])


def score_interval(rows: dict[int, pd.DataFrame], metric: str) -> tuple[float, float]:
    """The 95 % interval of a metric over seeds and logs, drawn as for ``paired_difference``; NaN with fewer than two of
    either."""
    return interval(_drawn([rows], metric, 0)[1][0]) if rows else (np.nan, np.nan)


def _drawn(sides: Sequence[dict[int, pd.DataFrame]], metric: str, seed: int) -> tuple[list[float], list[np.ndarray]]:
    """A metric of each side, by seed, all with the same seeds: its values, and (DRAWS,) values of it when seeds and
    logs are drawn with replacement, the same for all sides; NaN where fewer than two seeds or logs are there."""
    seeds = sorted(sides[0])
    logs = np.unique(np.concatenate([frame["log"] for side in sides for frame in side.values()]))
    sums = [np.stack([_by_log(side[s], metric, logs) for s in seeds], 1) for side in sides]  # (2, seeds, logs) each
    totals = [side.sum((1, 2)) for side in sums]
    unknown = [np.full(DRAWS, np.nan)] * len(sums)
    if any(total[1] == 0 for total in totals):  # what one of them does not measure is not compared
        return [np.nan] * len(totals), unknown
    values = [float(total[0] / total[1]) for total in totals]
    if len(seeds) < 2 or len(logs) < 2:
        return values, unknown
    rng = np.random.default_rng(seed)
    which_seed = rng.integers(0, len(seeds), (DRAWS, len(seeds), 1))
    which_log = rng.integers(0, len(logs), (DRAWS, 1, len(logs)))
    drawn = [side[:, which_seed, which_log].sum((2, 3)) for side in sums]
    return values, [side[0] / side[1] for side in drawn]


def _by_log(rows: pd.DataFrame, metric: str, logs: np.ndarray) -> np.ndarray:
    """(2, logs): numerators and denominators."""
    parts = pd.DataFrame({"log": rows["log"]}).assign(**dict(zip("nd", fraction(rows, metric), strict=True)))
    return parts.groupby("log")[["n", "d"]].sum().reindex(logs, fill_value=0.0).to_numpy().T


def finding(difference: float, low: float, high: float, metric: str, margin: float) -> str:
    """The finding on a variant: better, worse, within noise, below the margin, one run, or – (not compared)."""
    if np.isnan(difference):
        return "–"
    if np.isnan(low):
        return "one run" if difference else "–"
    if low <= 0.0 <= high:
        return "within noise"
    if abs(difference) < margin:
        return "below the margin"
    return "better" if (difference > 0) != (metric in LOWER_IS_BETTER) else "worse"


def summarise(jobs: Sequence[Job], reference: str, metric: str, margin: float) -> pd.DataFrame:
    """One row per variant, indexed by its name. A variant's figures are those of its accepted runs; where it has none,
    those of the others, and it is marked. Sorted: variants whose every run was accepted, by ``metric``; then the rest.
    """
    by_variant: dict[str, list[Job]] = {}
    for job in jobs:
        by_variant.setdefault(job.variant, []).append(job)
    scored = {name: _scored(members) for name, members in by_variant.items()}
    table = []
    for name, members in by_variant.items():
        accepted = [job for job in members if job.accepted]
        failed = [f"seed {job.seed} {_status(job.verdict)}" for job in members if not job.accepted]
        shown = accepted or members
        rows = pd.concat(scored[name].values()) if scored[name] else None
        is_reference = name == reference
        against = {} if is_reference else scored.get(reference, {})
        difference, low, high = paired_difference(scored[name], against, metric)
        whole = len(accepted) == len(members)  # a variant that did not hold for every seed has no finding
        found = finding(difference, low, high, metric, margin) if whole else "not accepted"
        vehicles = paired_difference(scored[name], against, "future_vehicle_iou")
        score_low, score_high = score_interval(scored[name], metric)
        facts = members[0].verdict.get("facts", {})
        table.append(
            {
                "variant": name,
                "runs": len(members),
                "accepted": len(accepted),
                "statuses": ", ".join(failed),
                "marks": marks(*(job.verdict for job in members)),
                "val_loss": _mean(shown, "val/loss"),
                "future_miou": np.nan if rows is None else future_miou(rows),
                **{m: np.nan if rows is None else value(rows, m) for m in METRICS},
                "score_low": score_low,
                "score_high": score_high,
                "difference": difference,
                "low": low,
                "high": high,
                "finding": "reference" if is_reference else found,
                "vehicle_difference": vehicles[0],
                "vehicle_low": vehicles[1],
                "vehicle_high": vehicles[2],
                **{size: facts.get(size) for size in ("parameters", "fusion_parameters", "fusion_macs")},
                "seconds_per_step": _mean(shown, "seconds_per_step"),
                "memory_gb": _average([measured(job.verdict, "memory") for job in shown]),
                "minutes": _average([job.verdict.get("seconds", np.nan) / 60 for job in shown]),
            }
        )
    view = pd.DataFrame(table)
    view["unaccepted"] = view["runs"] != view["accepted"]
    best_first = view.sort_values(["unaccepted", metric], ascending=[True, metric in LOWER_IS_BETTER])
    return best_first.drop(columns="unaccepted").set_index("variant")


def _status(verdict: dict[str, Any]) -> str:
    return one_line(f"{ALTERED} ({verdict['reason']})" if verdict["status"] == ALTERED else verdict["status"])


def _scored(members: Sequence[Job]) -> dict[int, pd.DataFrame]:
    """seed -> test rows, of the accepted runs; of the others where no run was accepted."""
    chosen = [job for job in members if job.accepted] or members
    return {job.seed: job.rows for job in chosen if job.rows is not None}


def _mean(jobs: Sequence[Job], name: str) -> float:
    return _average([job.metrics.get(name, np.nan) for job in jobs])


def _average(values: Sequence[float]) -> float:
    """Of those that are known."""
    return float(pd.Series(values, dtype=float).mean())


def measured(verdict: dict[str, Any], criterion: str) -> float:
    """What a criterion measured; NaN where it did not."""
    value = next((c["measured"] for c in verdict["criteria"] if c["name"] == criterion), None)
    return as_number(value)
