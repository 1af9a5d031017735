"""Anchors and labels belong together: the fingerprint in the labels is that of the model's anchors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wotempo.doctor.finding import Finding
from wotempo.navsim import ScoreTable, fingerprint, read_anchors

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


def check_labels(folder: Path, anchors: np.ndarray, tokens: Sequence[str]) -> Finding:
    """Of the scenes ``tokens``. UserError where the table is damaged or was made for other anchors."""
    if not folder.is_dir():
        return Finding("labels", "warn", f"{folder} is not made yet", MADE_BY_TRAINING)
    labels = ScoreTable.open(folder)
    labels.require_anchors(anchors)
    absent = [token for token in tokens if token not in labels and token not in labels.invalid]
    found = f"{len(tokens) - len(absent)} of {len(tokens)} scenes have labels for anchors {labels.anchors_fingerprint}"
    if absent:
        fix = "make labels writes the rest; a given data.labels must cover train and val"
        return Finding("labels", "fail", f"{found}, first without {absent[0]}", fix)
    return Finding("labels", "ok", found)
