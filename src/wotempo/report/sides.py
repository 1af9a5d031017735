"""Sides of a comparison: the runs of one configuration, whatever their seed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from callbacks.base.markdown import one_line
from wotempo.errors import UserError
from wotempo.records.reading import read_all, read_config, read_verdict
from wotempo.records.run_folders import CONFIG, VERDICT, run_folders
from wotempo.report.ablation import NO_VERDICT, Job, short_names
from wotempo.report.comparison import FINISHED, Side, read_run
from wotempo.report.run_files import read_job

# Where and how a run was started, and its seed, make no other configuration.
APART = ("run_dir", "workspace", "tracking", "acceptance", "test", "reuse", "fresh", "comparison", "seed")


def sides(folders: list[Path]) -> list[Side]:
    """Of runs, and of folders that hold runs (a sweep); in the order in which they are named. A seed that was run twice
    is a UserError: nothing says which one counts."""
    return _grouped({run: read_run(run) for folder in folders for run in _runs_of(folder)})


def all_sides(folders: list[Path]) -> tuple[list[Side], list[str]]:
    """As ``sides``, with every run that began: crashed and unfinished ones, too. Of a seed that was run twice the run
    that was written last counts, whatever it scored; the second list says so, and what could not be read.
    UserError where nothing is left."""
    latest: dict[tuple[str, int], tuple[Path, Job]] = {}
    found, notes = read_all([run for folder in folders for run in _begun(folder)], _job_of)
    if not found:
        raise UserError(notes[0].removeprefix("passed over: "))
    runs = {run.resolve(): job for run, job in found.items()}
    for run, job in sorted(runs.items(), key=lambda item: str(item[1].verdict.get("written", ""))):
        key = (_configuration(run, job), job.seed)
        if key in latest:
            notes.append(f"{latest[key][0].name} of {job.variant}, seed {job.seed}, was run again: {run.name} counts")
        latest[key] = (run, job)
    kept = {run for run, _ in latest.values()}
    return _grouped({run: job for run, job in runs.items() if run in kept}), notes


def _grouped(jobs: dict[Path, Job]) -> list[Side]:
    """Runs by folder -> sides."""
    groups: dict[str, list[tuple[Path, Job]]] = {}
    for run, job in {run.resolve(): job for run, job in jobs.items()}.items():
        groups.setdefault(_configuration(run, job), []).append((run, job))
    for members in groups.values():
        again = [seed for seed, count in Counter(job.seed for _, job in members).items() if count > 1]
        if again:
            same = " and ".join(str(run) for run, job in members if job.seed == again[0])
            raise UserError(f"{same} are of one configuration and seed {again[0]}: name one of them")
    names = _names([members[0] for members in groups.values()])
    return [
        Side(one_line(name), [job for _, job in members]) for name, members in zip(names, groups.values(), strict=True)
    ]


def _runs_of(folder: Path) -> list[Path]:
    runs = run_folders(folder)
    if folder in runs:
        return [folder]
    verdicts = {run: verdict for run in runs if (verdict := read_verdict(run)) is not None}
    if not verdicts:
        raise UserError(f"{folder} holds no {VERDICT}: name the folder of a run, or of a sweep")
    if finished := [run for run, verdict in verdicts.items() if verdict["status"] in FINISHED]:
        return finished
    run, verdict = list(verdicts.items())[-1]
    raise UserError(f"{folder} holds no finished run: {run} is {verdict['status']} (make resume RUN={run})")


def _begun(folder: Path) -> list[Path]:
    if not (runs := run_folders(folder, VERDICT, CONFIG)):
        raise UserError(f"{folder} holds no run: name the folder of a run, or of a sweep")
    return runs


def _job_of(run: Path) -> Job:
    """Killed before its first step, it has a configuration and no verdict."""
    config = read_config(run / CONFIG)  # Damaged here, if it is
    if (run / VERDICT).is_file():
        return read_job(run)
    return Job(config["name"], config["seed"], NO_VERDICT, {}, None)


def _configuration(run: Path, job: Job) -> str:
    """The same text for the seeds of a configuration."""
    file = run / CONFIG
    if not file.is_file():
        return str(run)
    config = {key: value for key, value in read_config(file).items() if key not in APART}
    text = json.dumps(config, sort_keys=True, default=str)
    return text.replace(f"seed={job.seed}/", "seed=*/")  # each seed starts from the weights of its own


def _names(first: list[tuple[Path, Job]]) -> list[str]:
    """Of each configuration, by one run of it: its variant in a sweep, else its name; made unlike by its folder."""
    names = [_variant(run) or job.variant for run, job in first]
    for further in (_home, lambda run: str(run)):
        often = Counter(names)
        names = [n if often[n] == 1 else f"{n} ({further(run)})" for n, (run, _) in zip(names, first, strict=True)]
    return names


def _home(run: Path) -> str:
    """The sweep that a run is of, else its own folder."""
    return run.parent.parent.name if run.name.startswith("seed=") else run.name


def _variant(run: Path) -> str | None:
    if not run.name.startswith("seed="):
        return None
    return short_names([folder.name for folder in run.parent.parent.iterdir() if folder.is_dir()])[run.parent.name]
