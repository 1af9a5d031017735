"""Anchors and labels belong together: the fingerprint in the labels is that of the model's anchors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wotempo.datasets import spread
from wotempo.doctor.finding import Finding
from wotempo.evidence.targets import LIMITS, rescored, without_signal
from wotempo.navsim import DataPaths, Scene, ScoreTable, fingerprint, read_anchors

MADE_BY_TRAINING = "make labels makes them now, training would otherwise"


def check_anchors(path: Path, wanted: int) -> Finding:
    """UserError where the file is damaged."""
    if not path.is_file():
        return Finding("anchors", "warn", f"{path} is not made yet", MADE_BY_TRAINING)
    anchors = read_anchors(path)
    found = f"{len(anchors)} anchors, fingerprint {fingerprint(anchors)}"
    if len(anchors) != wanted:
        return Finding("anchors", "fail", f"{found}; the model has {wanted}", f"model.num_anchors={len(anchors)}")
    return Finding("anchors", "ok", found)


def check_labels(folder: Path, anchors: np.ndarray, scenes: Sequence[Scene], paths: DataPaths) -> Finding:
    """Whether they are there, tell plans apart, and are what the scorer says now of some of the scenes. UserError where
    the table is damaged or was made for other anchors."""
    if not folder.is_dir():
        return Finding("labels", "warn", f"{folder} is not made yet", MADE_BY_TRAINING)
    labels = ScoreTable.open(folder)
    labels.require_anchors(anchors)
    tokens = [scene.token for scene in scenes]
    absent = [token for token in tokens if token not in labels and token not in labels.invalid]
    found = f"{len(tokens) - len(absent)} of {len(tokens)} scenes have labels for anchors {labels.anchors_fingerprint}"
    if absent:
        fix = "make labels writes the rest; a given data.labels must cover train and val"
        return Finding("labels", "fail", f"{found}, first without {absent[0]}", fix)
    if complaint := without_signal(labels, tokens):
        return Finding("labels", "fail", f"{found}, but {complaint}", "check the maps above, then make labels anew")
    scored = [scene for scene in scenes if scene.token in labels]
    again = rescored(labels, paths, anchors, spread(scored, LIMITS["scenes"]))
    if apart := again["rows_apart"]:
        wrong = f"{len(apart)} of {again['rescored']} rows are not what the scorer says, first that of {apart[0]}"
        return Finding("labels", "fail", f"{found}, but {wrong}", "make labels ARGS=overwrite=true")
    return Finding("labels", "ok", f"{found}; {again['rescored']} of them scored anew and equal")
