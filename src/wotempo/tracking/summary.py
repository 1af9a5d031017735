"""The summary and the alerts of a run in wandb, as plain data from its verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wotempo.records.reading import spared
from wotempo.report.scores import TEST_FILE


@dataclass(frozen=True)
class Alert:
    title: str
    text: str
    level: str  # INFO | WARN | ERROR


def number(value: Any) -> float | None:
    """None where it is none. A verdict says "nan" and "inf" in words, because JSON has no such numbers."""
    if value in ("nan", "inf", "-inf"):
        return float(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def summary_of(verdict: dict[str, Any], metrics: dict[str, float]) -> dict[str, Any]:
    """``verdict``, ``reason``, for each criterion ``criteria/<name>/`` status, measured and limit (numbers only), what
    the run cost, and the sentence on its use of history. What was logged is in the summary anyway."""
    facts, cost = verdict["facts"], verdict["cost"]
    entries: dict[str, Any] = {
        "verdict": verdict["status"],
        **{name: verdict[name] for name in ("reason", "next", "steps", "epochs")},
        "note": facts.get("note"),
        "history_evidence": facts.get("history"),
        "cost/seconds": verdict["seconds"],
        "cost/training_seconds": cost.get("training_seconds"),
        "cost/criteria_share": cost.get("share"),
        "cost/seconds_per_step": metrics.get("seconds_per_step"),
        "cost/parameters": facts.get("parameters"),
    }
    for criterion in verdict["criteria"]:
        place = f"criteria/{criterion['name']}"
        entries[f"{place}/status"] = criterion["status"]
        entries[f"{place}/measured"] = number(criterion["measured"])
        entries[f"{place}/limit"] = number(criterion["limit"])
        if criterion["name"] == "memory":
            entries["cost/peak_memory_gb"] = number(criterion["measured"])
    return {name: what for name, what in entries.items() if what is not None}


def scores_of(run_dir: Path) -> dict[str, float]:
    """``test/<metric>`` of a run that was scored on the test split; failed plans count as 0. Of twin scenes
    ``test/twins/<figure>``, too. None where the table of scores cannot be read, and a line that says so."""
    from wotempo.report.ablation import METRICS, future_miou, read_rows, value  # of runs that were scored
    from wotempo.report.twins import ALL, TITLES, TWINS_FILE, read_twin_rows, summary

    notes: list[str] = []
    rows = spared(run_dir / TEST_FILE, read_rows, None, notes)
    twins = spared(run_dir / TWINS_FILE, read_twin_rows, None, notes)
    for note in notes:
        print(note, flush=True)
    if rows is None:
        return {}
    scores = {metric: value(rows, metric) for metric in METRICS} | {"future_miou": future_miou(rows)}
    scores |= {"scenes": len(rows), "failed": int((~rows["valid"]).sum())}
    told = {} if twins is None else summary(twins, TITLES)[ALL]
    scores |= {f"twins/{figure}": told[figure][0] for figure in TITLES if figure in told}
    return {f"test/{name}": score for name, score in scores.items() if not math.isnan(score)}


def alerts_of(verdict: dict[str, Any]) -> list[Alert]:
    """One per criterion that failed, a warning where it only warns; one for a run that ended badly without any."""
    failed = [criterion for criterion in verdict["criteria"] if criterion["status"] == "fail"]
    alerts = [_alert(verdict, criterion) for criterion in failed]
    bad = verdict["status"] in ("rejected", "crashed")
    if bad and not any(criterion["policy"] == "fail" for criterion in failed):
        text = f"{verdict['reason']}\n{verdict['next']}"
        alerts.append(Alert(f"{_name(verdict)}: {verdict['status']}", text, "ERROR"))
    return alerts


def _name(verdict: dict[str, Any]) -> str:
    return f"{verdict['facts'].get('name', 'run')} {verdict['facts'].get('signature', '')}".strip()


def _alert(verdict: dict[str, Any], criterion: dict[str, Any]) -> Alert:
    text = f"{criterion['message']}\n{criterion['hint']}"
    if criterion["measured"] is not None:
        unit = f" {criterion['unit']}" if criterion["unit"] else ""
        text += f"\nmeasured {criterion['measured']}, must be {criterion['sense']} {criterion['limit']}{unit}"
    counts = criterion["policy"] == "fail"
    title = f"{_name(verdict)}: {criterion['name']} {'failed' if counts else 'warns'}"
    return Alert(title, text, "ERROR" if counts else "WARN")
