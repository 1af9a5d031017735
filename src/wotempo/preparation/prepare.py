"""Everything a run needs before the first step: dataset, scenes, anchors, labels. What is there is used again.

The caches of features and targets are the data module's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wotempo.config.schema import RunConfig
from wotempo.datasets import Progress, dataset_of, split_scenes
from wotempo.navsim import DataPaths, Scene, ScoreTable
from wotempo.preparation.anchors import anchors_of
from wotempo.preparation.labels import labels_of, without_invalid
from wotempo.preparation.windows import check_sensors, window_needs, with_history


@dataclass(frozen=True)
class Prepared:
    """``scenes`` by split; ``anchors`` (N, 8, 3); ``labels`` a score-table folder over train and val, both None
    where the planner needs none; ``name`` and
    ``note``: what reports call the dataset and must say of its figures."""

    paths: DataPaths
    scenes: dict[str, list[Scene]]
    anchors: np.ndarray | None
    labels: Path | None
    name: str
    note: str


def prepare(config: RunConfig, progress: Progress, splits: tuple[str, ...] = ("train", "val")) -> Prepared:
    """All of it; ``splits`` are those whose scenes are wanted, labels cover train and val."""
    dataset = dataset_of(config.data, config.workspace)
    paths = dataset.ready(progress)
    scenes = {split: split_scenes(dataset, paths, split, progress) for split in splits}
    windows = with_history(config, scenes)
    check_sensors(config, paths, windows)
    # Anchors and labels are those of all scenes: runs of other history lengths share them.
    needs, anchors, labels = window_needs(config), None, None
    if needs.anchors:
        anchors = anchors_of(dataset, paths, scenes.get("train", []), config.model.num_anchors, progress)
    if needs.labels and anchors is not None:
        labelled = {scene.token: scene for split in ("train", "val") for scene in scenes.get(split, [])}
        labels = labels_of(dataset, paths, list(labelled.values()), anchors, progress)
        windows = without_invalid(windows, ScoreTable.open(labels).invalid)
    return Prepared(paths, windows, anchors, labels, dataset.name, dataset.note)
