"""Versioned artifacts of a run in wandb: its checkpoints, its verdict, its report.

An artifact is called after the signature of the run, so that attempts and repetitions of one configuration are versions
of one collection.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wotempo.navsim import write_bytes
from wotempo.runs.unfinished import FINISHED
from wotempo.training.checkpoints import BEST

CHECKPOINTS = (BEST, "last")  # in this order: the last one is also ``latest``
NO_TEST_SCENES = {"scenes": 0, "windows": 0}  # they need the data once more: make report


def log_artifacts(run: Any, run_dir: Path, verdict: dict[str, Any], kinds: Sequence[str]) -> None:
    """``kinds``: of ``tracking.artifacts``. What wandb has to upload later lies in the run's own folder, not in the
    user's home, as it does by default."""
    kept = Path(run.settings.sync_dir) / "artifacts"
    alias = verdict["status"] if verdict["status"] in ("accepted", "incomplete") else "failed"
    if "verdict" in kinds:
        kept.mkdir(exist_ok=True)
        files = [Path(shutil.copy2(run_dir / name, kept)) for name in ("verdict.json", "verdict.md")]
        _log(run, "verdict", files, verdict, [alias])
    if "report" in kinds:
        files = [_written_report(run_dir, kept)]
        _log(run, "report", files, verdict, [alias])
    by_reference = "checkpoint_reference" in kinds
    # That of an unfinished run is written over when it goes on.
    if ("checkpoint" in kinds or by_reference) and verdict["status"] in FINISHED:
        for name in CHECKPOINTS:
            if (file := run_dir / "checkpoints" / f"{name}.ckpt").is_file():
                aliases = [name] if name == BEST else [name, alias]
                _log(run, "model", [file], verdict, aliases, by_reference)


def _written_report(run_dir: Path, folder: Path) -> Path:
    """The page of ``make report``, without scenes of the test split."""
    from wotempo.evaluation.report_scenes import take_pictures  # at the end, of some runs
    from wotempo.report.run_files import read_files
    from wotempo.report.run_page import run_page

    files = read_files(run_dir)
    page = run_page(files, take_pictures(files, NO_TEST_SCENES, lambda *_: None))
    folder.mkdir(exist_ok=True)
    write_bytes(folder / "report.html", page.encode())
    return folder / "report.html"


def _log(
    run: Any, kind: str, files: list[Path], verdict: dict[str, Any], aliases: list[str], by_reference: bool = False
) -> None:
    import wandb

    facts = verdict["facts"]
    about = {name: facts.get(name) for name in ("name", "signature", "seed", "data", "note", "git")}
    about |= {name: verdict[name] for name in ("status", "reason", "steps", "epochs")}
    artifact = wandb.Artifact(f"{kind}-{facts['signature']}", kind, metadata=about)
    for file in files:
        if by_reference:
            artifact.add_reference(file.absolute().as_uri())
        else:  # the file itself: a copy of a checkpoint of 600 MB is one too many
            artifact.add_file(str(file.absolute()), policy="immutable", skip_cache=True)
    run.log_artifact(artifact, aliases=aliases)
