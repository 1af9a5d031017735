"""The tables at the end of a multirun over shards: how each job ended, and whether all is there."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from wotempo.records.forms import LABELS
from wotempo.records.reading import read_json, spared
from wotempo.runs.asked import read_end
from wotempo.runs.sweep import SweepTable


class ShardTable(SweepTable):
    """One line a job, read from the ``labels.json`` that it left; exit code 1 unless the score table is complete."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        SweepTable.worst = 1  # Hydra goes on if this fails
        sweep_dir, found, notes = Path(config.hydra.sweep.dir), [], list[str]()
        asked = [job.folder for job in SweepTable.asked]
        jobs = asked or sorted(path.name for path in sweep_dir.iterdir() if path.name.isdigit())
        for job in jobs:
            labelled = spared(sweep_dir / job / "labels.json", partial(read_json, form=LABELS), None, notes)
            end = read_end(sweep_dir / job, notes)
            done = f"failed, see {sweep_dir / job}" if end is None else f"failed with code {end[0]}: {end[1]}"
            if labelled is not None and (end[0] == 0 if end is not None else not asked):
                found.append(labelled)
                done = f"{labelled['labelled']} of {labelled['scenes']} scenes"
            print(f"job {Path(job).name}: {done}")
        for note in notes:
            print(note)
        complete = any(Path(result["output"], "index.json").exists() for result in found)
        if complete:
            print(f"labels: {found[0]['output']}")
        else:
            print("the labels are not complete: type the same command again, finished parts are kept")
        SweepTable.worst = 0 if complete and len(found) == len(jobs) else 1


class JobTable(SweepTable):
    """One line a job that did not end well; exit code 1 unless all did: the last one then looked at the whole."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        SweepTable.worst, notes = 1, list[str]()  # Hydra goes on if this fails
        sweep_dir, jobs = Path(config.hydra.sweep.dir), [job.folder for job in SweepTable.asked]
        ends = {job: read_end(sweep_dir / job, notes) for job in jobs}
        for job, end in ends.items():
            if end is None or end[0] != 0:
                why = "never ended" if end is None else f"failed with code {end[0]}: {end[1]}"
                print(f"job {job}: {why}, see {sweep_dir / job}")
        for note in notes:
            print(note)
        if all(end is not None and end[0] == 0 for end in ends.values()):
            print(f"all {len(jobs)} shards are here: training starts with its first step")
            SweepTable.worst = 0
        else:
            print("not all is here: type the same command again, what was made is kept")
