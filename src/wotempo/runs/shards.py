"""The table at the end of a multirun over shards of labels: how each job ended, and whether the scores are complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from wotempo.runs.sweep import SweepTable


class ShardTable(SweepTable):
    """One line a job, read from the ``labels.json`` that it left; exit code 1 unless the score table is complete."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        jobs = sorted(path for path in Path(config.hydra.sweep.dir).iterdir() if path.name.isdigit())
        found = []
        for job in jobs:
            done = f"failed, see {job}"
            if (file := job / "labels.json").exists():
                found.append(json.loads(file.read_text()))
                done = f"{found[-1]['labelled']} of {found[-1]['scenes']} scenes"
            print(f"job {job.name}: {done}")
        complete = any(Path(result["output"], "index.json").exists() for result in found)
        if complete:
            print(f"labels: {found[0]['output']}")
        else:
            print("the labels are not complete: type the same command again, finished parts are kept")
        SweepTable.worst = 0 if complete and len(found) == len(jobs) else 1
