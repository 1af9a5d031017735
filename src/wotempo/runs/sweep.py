"""The tables at the end of a multirun: of the jobs that were asked for, as the files that they left say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.table import Table

from callbacks.base.markdown import inline, one_line
from wotempo.config.sweeps import Asked
from wotempo.errors import UserError
from wotempo.navsim import write_bytes
from wotempo.report.ablation import NO_VERDICT, Job, began, seed_of, short_names, summarise
from wotempo.report.ablation_page import markdown, short_table
from wotempo.report.leaderboard import leaderboard_page
from wotempo.report.marks import MARKS, marks
from wotempo.report.terminal import console
from wotempo.report.token_set import of_one_set
from wotempo.report.twins_compared import with_twins
from wotempo.runs.asked import LIST, read_asked, read_end, write_asked

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


SEED = "seed="
REFUSED, CRASHED, NOT_RUN = "refused", "crashed", "not run"


def judged(sweep_dir: Path, ours: list[Asked]) -> tuple[list[Job], list[Job]]:
    """The jobs that ``ours`` names, a row for each whatever became of it; and all of the sweep: also those that earlier
    commands asked for, and those of sweeps from before there was a list. What could not be read is in their damage."""
    notes: list[str] = []
    listed = {job.folder: job for job in [*read_asked(sweep_dir, notes), *ours]}
    for folder in sorted(sweep_dir.glob(f"*/{SEED}*"), key=lambda folder: folder.stat().st_ctime):
        place = str(folder.relative_to(sweep_dir))
        listed.setdefault(place, Asked([], place))
    names = short_names(sorted({Path(place).parent.name for place in listed}))
    mine = {job.folder for job in ours} or set(listed)
    rows = {place: _row(sweep_dir, job, names, bool(ours) and place in mine) for place, job in listed.items()}
    if notes and rows:
        first = next(iter(rows))
        rows[first] = replace(rows[first], damage=(*notes, *rows[first].damage))
    return [row for place, row in rows.items() if place in mine], list(rows.values())


def _row(sweep_dir: Path, job: Asked, names: dict[str, str], ours: bool) -> Job:
    """What is left of one job. An end that says refused or crashed counts more than a verdict that another run, or an
    earlier command, left in that folder."""
    place, notes = Path(job.folder), list[str]()
    seed = next((seed_of(Path(text)) for text in (place.name, *job.overrides) if text.startswith(SEED)), 0)
    variant = names[place.parent.name] if place.name.startswith(SEED) else job.folder
    end = read_end(sweep_dir / place, notes)
    found = began(sweep_dir / place, variant, seed)
    found = replace(found, damage=(*notes, *found.damage))
    code, reason = (0, "") if end is None else end
    unsettled = found.accepted or found.verdict["reason"] in ("", reason)
    if end is None and ours and (found.accepted or found.verdict is NO_VERDICT):
        return _without(found, NOT_RUN, "it never began, or its process was lost")
    if code != 0 and unsettled:
        status = REFUSED if code == UserError.exit_code else CRASHED
        return _without(found, status, reason or f"it ended with code {code}")
    return found


def _without(job: Job, status: str, reason: str) -> Job:
    facts = {"name": job.variant, "seed": job.seed}
    verdict = {**NO_VERDICT, "status": status, "exit_code": 1, "reason": reason, "facts": facts}
    return replace(job, verdict=verdict, metrics={}, rows=None)


def lost_jobs(folders: Sequence[Path]) -> list[str]:
    """A sentence on each job that a sweep at or below these folders was asked for and that is no run of it: refused,
    crashed, or never begun."""
    found: dict[Path, list[str]] = {}
    for file in (file for folder in folders for file in sorted(folder.rglob(LIST))):
        notes: list[str] = []
        rows, _ = judged(file.parent, read_asked(file.parent, notes))
        lost = [sentence for job in rows if (sentence := _lost(job))]
        found[file.parent.resolve()] = [*notes, *(f"{sentence} ({file.parent})" for sentence in lost)]
    return [one_line(text) for texts in found.values() for text in texts]


def _lost(job: Job) -> str:
    status = job.verdict["status"]
    lost = status in (REFUSED, CRASHED, NOT_RUN)
    return f"✗ {job.variant}, seed {job.seed}: {status}: {job.verdict['reason']}" if lost else ""


class SweepTable(Callback):
    """Writes the list of the jobs (``jobs.json``) before the first one starts; at the end prints the tables and writes
    ``sweep.json`` and, where runs were scored on the test split, ``ablation.md`` and ``ablation.json``.

    Attributes:
        asked: the jobs of this command.
        worst: the exit code for the command; None until it is known."""

    asked: ClassVar[list[Asked]] = []
    worst: ClassVar[int | None] = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        write_asked(Path(config.hydra.sweep.dir), SweepTable.asked)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        SweepTable.worst = 1  # Hydra goes on if this fails
        sweep_dir = Path(config.hydra.sweep.dir)
        ours, jobs = judged(sweep_dir, SweepTable.asked)
        lines = [
            {**job.verdict, "variant": job.variant, "seed": job.seed, "metrics": job.metrics} for job in ranked(jobs)
        ]
        write_bytes(sweep_dir / "sweep.json", json.dumps(lines, indent=1).encode())
        console(width=160).print(table(jobs), *([MARKS] if any(marks(job.verdict) for job in jobs) else []))
        for job in jobs:
            for sentence in job.damage:
                print(sentence)
            if sentence := _lost(job):
                print(sentence)
        note = next((note for job in jobs if (note := job.verdict["facts"].get("note"))), "")
        print(note or "", f"table: {sweep_dir / 'sweep.json'}", sep="\n" if note else "")
        if any(job.rows is not None for job in jobs):
            rule = config.comparison
            one, measured = of_one_set(jobs, rule.reference)
            print(*measured, sep="\n")
            view = with_twins(summarise(one, rule.reference, rule.metric, rule.margin), one, rule.reference)
            page = "\n\n".join([markdown(view, rule.reference, rule.metric, rule.margin, note), *map(inline, measured)])
            write_bytes(sweep_dir / "ablation.md", page.encode())
            write_bytes(sweep_dir / "ablation.json", view.reset_index().to_json(orient="records", indent=1).encode())
            data = next((name for job in jobs if (name := job.verdict["facts"].get("data"))), "")
            board = leaderboard_page({data: view}, rule.metric, rule.margin, [*measured, *filter(None, [note])])
            write_bytes(sweep_dir / "leaderboard.html", board.encode())
            console(width=112).print(short_table(view, rule.reference, rule.metric))
            print(f"pages: {sweep_dir / 'ablation.md'}, {sweep_dir / 'leaderboard.html'}")
        SweepTable.worst = 0 if ours and all(job.accepted for job in ours) else 1
