"""The files in the folder of a run, finished or not."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from wotempo.errors import UserError
from wotempo.program import shell_line, stored, words_of
from wotempo.records.reading import read_mapping, read_text, read_verdict, spared
from wotempo.report.ablation import Job, job_of

MOST_STEPS = 1e9
LARGEST = 1e30  # no axis shows more; a loss that became infinite stays


@dataclass(frozen=True)
class RunFiles:
    """``job``: verdict, metrics and test scores. ``curves``: metrics.csv, empty where there is none. ``config`` and
    ``diagnosis`` are texts, "" where there is none. ``samples``: of samples.npz. ``damage``: a sentence on each file
    that is there and cannot be read; it counts as missing."""

    folder: Path
    job: Job
    curves: pd.DataFrame
    config: str
    diagnosis: str
    samples: list[dict[str, np.ndarray]]
    damage: list[str]

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
    """All of a run. UserError where the folder is none of a run, Damaged where its verdict cannot be read."""
    from wotempo.report.pictures.scene_picture import read_samples  # draws: comparisons of runs need none of that

    job = read_job(folder)
    damage = list(job.damage)
    diagnoses = sorted((folder / "failure").rglob("diagnosis.md"))
    return RunFiles(
        folder,
        job,
        spared(folder / "metrics" / "metrics.csv", read_curves, pd.DataFrame({"step": []}), damage),
        spared(folder / "config.yaml", _config, "", damage),
        "\n\n".join(spared(path, read_text, "", damage) for path in diagnoses),
        spared(folder / "samples.npz", read_samples, [], damage),
        damage,
    )


def read_curves(file: Path) -> pd.DataFrame:
    """metrics.csv: numbers by column, NaN where a row has none. ValueError where something else stands in it."""
    curves = pd.read_csv(io.StringIO(read_text(file)))
    if "step" not in curves or not all(is_numeric_dtype(curves[name]) for name in curves):
        raise ValueError("it is no table of numbers with a column step")
    steps = curves["step"]
    if not steps.between(0, MOST_STEPS).all() or (steps % 1).any():
        raise ValueError("its column step holds what is no step")
    if ((curves.abs() > LARGEST) & np.isfinite(curves)).any(axis=None):
        raise ValueError(f"it holds a number beyond {LARGEST:g}")
    return curves


def _config(file: Path) -> str:
    """The text of a config.yaml. ValueError where it holds no keys."""
    read_mapping(file)
    return read_text(file)
