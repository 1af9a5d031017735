"""The files in the folder of a run, finished or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wotempo.errors import UserError
from wotempo.program import shell_line, stored, words_of
from wotempo.report.ablation import Job, job_of
from wotempo.report.pictures.scene_picture import read_samples
from wotempo.report.reading import read_verdict, readable


@dataclass(frozen=True)
class RunFiles:
    """``job``: verdict, metrics and test scores. ``curves``: metrics.csv, empty where there is none. ``config`` and
    ``diagnosis`` are texts, "" where there is none."""

    folder: Path
    job: Job
    curves: pd.DataFrame
    config: str
    diagnosis: str

    @property
    def facts(self) -> dict[str, Any]:
        return self.job.verdict["facts"]

    def again(self, *overrides: str) -> str:
        """The command that does a finished run with further settings, in its own folder."""
        command, arguments = self._command
        if "--multirun" in arguments:  # finished jobs are kept
            return shell_line(command, *arguments, *overrides)
        # Hydra wants quotes around an "=", which the folders of sweeps hold.
        folder = f"'{self.folder}'" if "=" in str(self.folder) else self.folder
        return shell_line(command, *arguments, f"run_dir={folder}", "reuse=true", *overrides)

    def anew(self, *overrides: str) -> str:
        """The command that trains it once more, in a new folder."""
        command, arguments = self._command
        where = ["hydra.sweep.dir=runs/again"] if "--multirun" in arguments else []
        return shell_line(command, *arguments, *where, *overrides)

    @property
    def _command(self) -> tuple[str, list[str]]:
        """The recorded command and its arguments, but for what says where the run lies."""
        command, arguments = words_of(self.facts.get("command", stored("train", [])))
        return command, [word for word in arguments if word.split("=")[0] not in ("run_dir", "reuse", "hydra.run.dir")]

    def samples(self) -> list[dict[str, np.ndarray]]:
        return readable(self.folder / "samples.npz", read_samples, [])


def read_job(folder: Path) -> Job:
    """A run in any state. UserError where the folder is none of a run."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: name the folder of a run (RUN=runs/…)")
    verdict = read_verdict(folder)
    if verdict is None:
        raise UserError(f"{folder} holds no verdict.json: name the folder of a run")
    facts = verdict["facts"]
    return job_of(folder, verdict, facts.get("name", folder.name), int(facts.get("seed", 0)))


def read_files(folder: Path) -> RunFiles:
    job = read_job(folder)
    return RunFiles(
        folder,
        job,
        readable(folder / "metrics" / "metrics.csv", pd.read_csv, pd.DataFrame({"step": []})),
        _text(folder / "config.yaml"),
        "\n\n".join(_text(path) for path in sorted((folder / "failure").rglob("diagnosis.md"))),
    )


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""
