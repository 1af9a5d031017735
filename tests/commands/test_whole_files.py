"""A process that ends in the middle of writing leaves the old file, or none: each writer of what is read later."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scene_samples import samples

from callbacks.base.plain import write_json
from wotempo.commands import evaluate, slurm
from wotempo.errors import UserError
from wotempo.navsim.anchors import write_anchors
from wotempo.navsim.files import archive_bytes
from wotempo.navsim.scores import write_packed_table
from wotempo.navsim.submission import Team, write_plans, write_submission
from wotempo.report.pictures.history_picture import draw_history
from wotempo.report.pictures.scene_picture import draw_samples
from wotempo.report.scores import write_official
from wotempo.training.checkpoints import AtomicCheckpointIO

PLANS = {"a": np.zeros((8, 3))}
TEAM = Team("a", ["b"], "c", "d", "e")
ROWS = pd.DataFrame({"driver": ["model"], "token": ["a"], "log": ["l"], "valid": [True], "score": [1.0]})


def scores(folder: Path) -> None:
    evaluate.report(SimpleNamespace(metric="pdms"), folder, None, {"token_set": {"metric": "m"}}, ROWS)


def pictures(folder: Path, draw: Any) -> None:
    (folder / "samples.npz").write_bytes(archive_bytes(**samples(1, 2)))
    draw(folder / "samples.npz", folder)


WRITERS = {
    "scores.parquet": scores,
    "summary.json": lambda folder: evaluate.write_summary(folder, {"note": None}),
    "model.csv": lambda folder: write_official(ROWS, ["score"], folder / "model.csv"),
    "plans.npz": lambda folder: write_plans(folder / "plans.npz", PLANS),
    "submission.pkl": lambda folder: write_submission(folder / "submission.pkl", TEAM, PLANS),
    "t0.png": lambda folder: pictures(folder, draw_samples),
    "history-t0.png": lambda folder: pictures(folder, draw_history),
    "labels": lambda folder: write_packed_table(
        folder / "labels", ["a"], np.zeros((1, 2), np.uint8), np.zeros((1, 2), np.float16), "f", "v"
    ),
    "anchors.npy": lambda folder: write_anchors(folder / "anchors.npy", np.zeros((2, 8, 3))),
    "verdict.json": lambda folder: write_json(folder / "verdict.json", {"status": "accepted"}),
    "last.ckpt": lambda folder: AtomicCheckpointIO().save_checkpoint({"global_step": 1}, folder / "last.ckpt"),
    "job.sh": lambda folder: slurm.submit(folder / "job.sh", "#!/bin/bash\n"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_that_ends_midway_leaves_the_old_file(tmp_path, monkeypatch, name):
    old = tmp_path / name
    if name == "labels":
        old.mkdir()
    held = old / "index.json" if name == "labels" else old
    held.write_text("old")

    def end(source: Any, target: Any) -> None:
        if Path(target) == old and Path(source).suffix != ".old":
            raise OSError(5, "Input/output error")
        real(source, target)

    real = os.replace
    monkeypatch.setattr(os, "replace", end)
    with pytest.raises((OSError, UserError)):
        WRITERS[name](tmp_path)
    assert held.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} <= {name, "samples.npz"}
