"""The list of the jobs that a sweep was asked for, written before the first one starts, and how each of them ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from wotempo.config.sweeps import Asked
from wotempo.navsim import write_bytes
from wotempo.records.forms import END, JOBS
from wotempo.records.reading import read_json, spared

LIST = "jobs.json"  # in the folder of a sweep
ENDED = "job.json"  # in the folder of a job


def write_asked(sweep_dir: Path, jobs: Sequence[Asked]) -> None:
    """The list, behind the jobs of earlier commands in this folder; what is left of their ends is no end of these."""
    known = {job.folder: job for job in read_asked(sweep_dir, [])} | {job.folder: job for job in jobs}
    content = {"jobs": [{"overrides": job.overrides, "folder": job.folder} for job in known.values()]}
    sweep_dir.mkdir(parents=True, exist_ok=True)
    write_bytes(sweep_dir / LIST, json.dumps(content, indent=1).encode())
    for job in jobs:
        (sweep_dir / job.folder / ENDED).unlink(missing_ok=True)


def read_asked(sweep_dir: Path, notes: list[str]) -> list[Asked]:
    """All that was ever asked for in this folder; nothing in sweeps of earlier versions. A list that cannot be read is
    said in ``notes``."""
    found = spared(sweep_dir / LIST, partial(read_json, form=JOBS), None, notes)
    return [] if found is None else [Asked(job["overrides"], job["folder"]) for job in found["jobs"]]


def write_end(folder: Path, exit_code: int, reason: str) -> None:
    """How a job ended, for the table of its sweep: the process that prints it may be another one."""
    with suppress(OSError):  # without it the job counts as not run
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / ENDED, json.dumps({"exit_code": exit_code, "reason": reason}).encode())


def read_end(folder: Path, notes: list[str]) -> tuple[int, str] | None:
    """Exit code, and the reason where it was refused or crashed; None where the job has not ended."""
    found = spared(folder / ENDED, partial(read_json, form=END), None, notes)
    return None if found is None else (found["exit_code"], found["reason"])
