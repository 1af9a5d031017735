"""Everything a run needs before the first step: dataset, scenes, anchors, labels, and the data module that serves
them. What is there is used again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from wotempo.config.schema import RunConfig
from wotempo.data.module import NavsimDataModule
from wotempo.datasets import Coverage, Dataset, Progress, dataset_of, find_split
from wotempo.errors import UserError
from wotempo.navsim import DataPaths, Scene, ScoreTable
from wotempo.navsim.scenes import NO_BOXES, require_own_tokens, without_boxes
from wotempo.preparation.anchors import anchors_of
from wotempo.preparation.datamodule import cache_root, data_module
from wotempo.preparation.labels import labels_of, place_of_labels, without_invalid
from wotempo.preparation.limits import check_limits
from wotempo.preparation.map_fit import require_fit
from wotempo.preparation.progress import PreparationProgress
from wotempo.preparation.twin_pairs import check_twins
from wotempo.preparation.windows import NO_SENSORS, SHORT, check_sensors, window_needs, with_history


@dataclass(frozen=True)
class Prepared:
    """``scenes`` by split; ``anchors`` (N, 8, 3); ``labels`` a score-table folder over train and val, both None where
    the planner needs none; ``name`` and ``note``: what reports call the dataset and must say of its figures."""

    paths: DataPaths
    scenes: dict[str, list[Scene]]
    anchors: np.ndarray | None
    labels: Path | None
    name: str
    note: str
    supervised: tuple[str, ...] = ("train", "val")  # splits whose logs hold boxes: the others have no targets
    coverage: Mapping[str, Coverage] = field(default_factory=dict)  # by split: what of it is not here
    failed: Mapping[str, int] = field(default_factory=dict)  # by split: scenes that cannot be scored, and are left out
    masked: Mapping[str, int] = field(default_factory=dict)  # by split: scenes of which a history frame is masked


@dataclass(frozen=True)
class Begun:
    """What labels and caches are made for: ``scenes`` by split, and ``windows``, those of them that the run takes."""

    dataset: Dataset
    paths: DataPaths
    scenes: dict[str, list[Scene]]
    windows: dict[str, list[Scene]]
    anchors: np.ndarray | None
    supervised: tuple[str, ...]
    coverage: Mapping[str, Coverage]

    @property
    def labelled(self) -> list[Scene]:
        """The scenes that have labels. Runs of other history lengths share them."""
        return list({scene.token: scene for split in self.supervised for scene in self.scenes[split]}.values())

    def with_labels(self, labels: Path | None, windows: dict[str, list[Scene]]) -> Prepared:
        dataset = self.dataset
        failed = {split: len(of) - len(windows[split]) for split, of in self.windows.items()}
        known = (self.supervised, self.coverage, failed)
        return Prepared(self.paths, windows, self.anchors, labels, dataset.name, dataset.note, *known)


def begin(config: RunConfig, progress: Progress) -> Begun:
    """What comes before labels and caches: the dataset, the index of its logs, scenes and anchors."""
    dataset = dataset_of(config.data, config.workspace)
    paths = dataset.ready(progress)
    found = {split: find_split(dataset, paths, split, progress) for split in ("train", "val")}
    scenes = {split: of_split.scenes for split, of_split in found.items()}
    require_own_tokens(scene for members in scenes.values() for scene in members)
    windows = with_history(config, scenes)
    coverage = {
        split: found[split].coverage.without(SHORT, len(scenes[split]) - len(windows[split])) for split in found
    }
    for of_split in coverage.values():
        of_split.say()
    supervised = tuple(split for split, members in windows.items() if not without_boxes(members))
    if "train" not in supervised:
        raise UserError(
            f"train: {NO_BOXES}, from which its targets are made: set data.train.split to one that has them"
        )
    for split in windows.keys() - set(supervised):
        print(f"{split}: {NO_BOXES}: it is planned for and not scored", flush=True)
    check_twins(config, paths, windows)
    require_fit(paths, [scene.current for members in windows.values() for scene in members])
    anchors = None
    if window_needs(config).anchors:  # those of all scenes, as labels
        anchors = anchors_of(dataset, paths, scenes["train"], config.model.num_anchors, progress)
    return Begun(dataset, paths, scenes, windows, anchors, supervised, coverage)


def prepare(config: RunConfig, progress: Progress) -> Prepared:
    """All of it but the data module, for the splits train and val."""
    begun = begin(config, progress)
    windows, labels = begun.windows, None
    if window_needs(config).labels and begun.anchors is not None:
        given = (begun.dataset, begun.paths, begun.labelled, begun.anchors)
        if not place_of_labels(*given).exists():  # hours go into them
            check_sensors(config, begun.paths, windows, progress)
        labels = labels_of(*given, progress)
        windows = without_invalid(windows, ScoreTable.open(labels).invalid)
    return begun.with_labels(labels, windows)


def build_data(config: RunConfig, prepared: Prepared, progress: Progress) -> NavsimDataModule:
    trainer = config.trainer
    return data_module(
        config.model,
        config.data,
        prepared.paths,
        cache_root(config.data, config.workspace, prepared.paths),
        prepared.scenes,
        prepared.anchors,
        window_needs(config),
        labels=prepared.labels,
        supervised=prepared.supervised,
        batch_size=trainer.batch_size,
        run_length=trainer.run_length,
        num_workers=trainer.num_workers,
        pin_memory=trainer.accelerator == "gpu",
        seed=config.seed,
        progress=progress,
    )


def prepare_data(config: RunConfig) -> tuple[Prepared, NavsimDataModule]:
    """Everything on disk that the run needs, made where it is missing, under a progress bar."""
    check_limits(config)
    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)
    with PreparationProgress(config.trainer.progress_bar) as progress:
        prepared = prepare(config, progress)
        data = build_data(config, prepared, progress)
        data.build_caches()
    if data.left_out or data.masked:
        coverage = {s: of.without(NO_SENSORS, data.left_out.get(s, 0)) for s, of in prepared.coverage.items()}
        prepared = replace(prepared, scenes=data.scenes, coverage=coverage, masked=data.masked)
    return prepared, data
