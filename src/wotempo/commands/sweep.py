"""The table at the end of a multirun: one line a job, read from the verdict files that the jobs left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

COLUMNS = ("val/ade", "val/fde", "val/loss", "val/bev_miou")


def read_verdicts(sweep_dir: Path) -> list[dict[str, Any]]:
    """Every job's verdict; a job that left none is shown as such."""
    rows = []
    for folder in sorted(p for p in sweep_dir.iterdir() if p.is_dir() and p.name != ".hydra"):
        file = folder / "verdict.json"
        verdict = json.loads(file.read_text()) if file.exists() else {"status": "no verdict", "exit_code": 1}
        metrics = folder / "metrics.json"
        verdict["metrics"] = json.loads(metrics.read_text()) if metrics.exists() else {}
        rows.append({"job": folder.name, **verdict})
    return rows


def ranked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Accepted jobs first, by displacement; an unaccepted run cannot win."""

    def key(row: dict[str, Any]) -> tuple[bool, float]:
        return row["status"] != "accepted", row["metrics"].get("val/ade", float("inf"))

    return sorted(rows, key=key)


def table(rows: list[dict[str, Any]]) -> Table:
    view = Table(title="ablation: accepted runs first, by average displacement error")
    for column in ("job", "verdict", "failed", *COLUMNS, "s/step", "memory GB"):
        view.add_column(column)
    for row in ranked(rows):
        metrics = row["metrics"]
        failed = [c["name"] for c in row.get("criteria", []) if c["status"] == "fail"]
        memory = next((c["measured"] for c in row.get("criteria", []) if c["name"] == "memory"), None)
        figures = [f"{metrics[name]:.3f}" if name in metrics else "–" for name in COLUMNS]
        speed = f"{metrics['seconds_per_step']:.2f}" if "seconds_per_step" in metrics else "–"
        view.add_row(row["job"], row["status"], ", ".join(failed) or "–", *figures, speed, str(memory or "–"))
    return view


class SweepTable(Callback):
    """Prints the table and writes ``sweep.json``; leaves the worst exit code for the command."""

    worst = 0

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        sweep_dir = Path(config.hydra.sweep.dir)
        rows = read_verdicts(sweep_dir)
        (sweep_dir / "sweep.json").write_text(json.dumps(ranked(rows), indent=1))
        Console(width=160).print(table(rows))
        note = next((row["facts"]["note"] for row in rows if row.get("facts", {}).get("note")), "")
        print(note or "", f"table: {sweep_dir / 'sweep.json'}", sep="\n" if note else "")
        SweepTable.worst = 1 if any(row["status"] != "accepted" for row in rows) else 0
