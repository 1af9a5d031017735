"""The tables at the end of a multirun, read from the files that its jobs left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from wotempo.navsim import write_bytes
from wotempo.report.ablation import Job, read_jobs, summarise
from wotempo.report.ablation_page import markdown, short_table
from wotempo.report.leaderboard import leaderboard_page
from wotempo.report.marks import MARKS, marks

COLUMNS = ("val/ade", "val/fde", "val/loss", "val/bev_miou")


def ranked(jobs: list[Job]) -> list[Job]:
    """Accepted jobs first, by displacement; an unaccepted run cannot win."""
    return sorted(jobs, key=lambda job: (not job.accepted, job.metrics.get("val/ade", float("inf"))))


def table(jobs: list[Job]) -> Table:
    """One line a job."""
    columns = ("variant", "seed", "verdict", "failed", *COLUMNS, "s/step", "memory GB")
    view = Table(*columns, title="runs: accepted ones first, by average displacement error in validation")
    for job in ranked(jobs):
        criteria = job.verdict["criteria"]
        failed = [c["name"] for c in criteria if c["status"] == "fail"]
        memory = next((c["measured"] for c in criteria if c["name"] == "memory"), None)
        figures = [f"{job.metrics[name]:.3f}" if name in job.metrics else "–" for name in COLUMNS]
        speed = f"{job.metrics['seconds_per_step']:.2f}" if "seconds_per_step" in job.metrics else "–"
        status = f"{job.verdict['status']}{marks(job.verdict)}"
        view.add_row(job.variant, str(job.seed), status, ", ".join(failed) or "–", *figures, speed, str(memory or "–"))
    return view


class SweepTable(Callback):
    """Prints the tables and writes ``sweep.json`` and, where runs were scored on the test split, ``ablation.md`` and
    ``ablation.json``. Leaves the worst exit code for the command."""

    worst = 0

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        sweep_dir = Path(config.hydra.sweep.dir)
        jobs = read_jobs(sweep_dir)
        lines = [
            {**job.verdict, "variant": job.variant, "seed": job.seed, "metrics": job.metrics} for job in ranked(jobs)
        ]
        write_bytes(sweep_dir / "sweep.json", json.dumps(lines, indent=1).encode())
        Console(width=160).print(table(jobs), *([MARKS] if any(marks(job.verdict) for job in jobs) else []))
        note = next((note for job in jobs if (note := job.verdict["facts"].get("note"))), "")
        print(note or "", f"table: {sweep_dir / 'sweep.json'}", sep="\n" if note else "")
        if any(job.rows is not None for job in jobs):
            rule = config.comparison
            view = summarise(jobs, rule.reference, rule.metric, rule.margin)
            page = markdown(view, rule.reference, rule.metric, rule.margin, note)
            write_bytes(sweep_dir / "ablation.md", page.encode())
            write_bytes(sweep_dir / "ablation.json", view.reset_index().to_json(orient="records", indent=1).encode())
            data = next((name for job in jobs if (name := job.verdict["facts"].get("data"))), "")
            board = leaderboard_page({data: view}, rule.metric, rule.margin, [note] if note else [])
            write_bytes(sweep_dir / "leaderboard.html", board.encode())
            Console(width=112).print(short_table(view, rule.reference, rule.metric))
            print(f"pages: {sweep_dir / 'ablation.md'}, {sweep_dir / 'leaderboard.html'}")
        SweepTable.worst = 1 if not jobs or any(not job.accepted for job in jobs) else 0
