"""The reward labels of a run: where they lie, and which scenes have none."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np

from wotempo.datasets import Dataset, Progress
from wotempo.navsim import DataPaths, Scene, ScoreTable, fingerprint
from wotempo.navsim.per_scene import by_cause
from wotempo.navsim.share import ALL, Share
from wotempo.pdm.labels.engines import Engine
from wotempo.pdm.labels.label import label_shard
from wotempo.pdm.labels.label_parts import made_of_scenes


def labels_folder(workspace: str, paths: DataPaths, scenes: list[Scene], anchors: np.ndarray) -> Path:
    """Where the labels of these scenes and anchors lie when no folder is given: `make labels` and training agree."""
    which = hashlib.sha256("".join(scene.token for scene in scenes).encode()).hexdigest()[:8]
    return Path(workspace) / "labels" / f"{paths.root.name}-{fingerprint(anchors)}-{which}"


def place_of_labels(dataset: Dataset, paths: DataPaths, scenes: list[Scene], anchors: np.ndarray) -> Path:
    """``data.labels``, or the folder in which they are made."""
    return Path(dataset.data.labels or labels_folder(dataset.workspace, paths, scenes, anchors))


def labels_of(
    dataset: Dataset,
    paths: DataPaths,
    scenes: list[Scene],
    anchors: np.ndarray,
    progress: Progress,
    share: Share = ALL,
) -> Path:
    """The score-table folder over ``scenes``: that of ``data.labels`` (the data module checks its scenes) or one made
    here; of a ``share`` of several its part, and the last one to finish writes the table. UserError where it was made
    for other anchors."""
    folder = place_of_labels(dataset, paths, scenes, anchors)
    if dataset.data.labels is not None:
        table = ScoreTable.open(folder)
        table.require_anchors(anchors)
        table.require_files(made_of_scenes(scenes, paths.maps))
        return folder
    label_shard(
        scenes,
        paths.maps,
        anchors,
        folder,
        Engine(workers=dataset.data.prepare_workers),
        *share,
        progress=partial(progress, "label anchors"),
        wait=True,
    )
    return folder


def without_invalid(scenes: dict[str, list[Scene]], invalid: dict[str, str]) -> dict[str, list[Scene]]:
    """The scenes by split, without those that have no labels (token -> reason); prints how many these are."""
    kept = {split: [scene for scene in members if scene.token not in invalid] for split, members in scenes.items()}
    if dropped := [s.token for members in scenes.values() for s in members if s.token in invalid]:
        first, *others = causes = by_cause((token, invalid[token]) for token in dropped)
        print(f"{len(dropped)} scenes are left out, they cannot be scored (first: {first.reason})", flush=True)
        for cause in causes if others else ():
            print(f"  {cause}", flush=True)
    return kept
