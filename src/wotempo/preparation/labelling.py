"""`make labels`: the score table over chosen splits, or one shard's share of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from wotempo.config.schema import DataConfig
from wotempo.datasets import dataset_of, find_split, split_scenes
from wotempo.navsim import ScoreTable, read_anchors
from wotempo.navsim.scores import TITLES
from wotempo.pdm.labels.engines import Engine
from wotempo.pdm.labels.label import label_shard
from wotempo.pdm.score import SCORER_VERSION
from wotempo.planners.config import sizes
from wotempo.preparation.anchors import anchors_of
from wotempo.preparation.labels import labels_folder
from wotempo.preparation.map_fit import require_fit
from wotempo.preparation.progress import PreparationProgress

WHAT = "label anchors"


@dataclass
class LabelsConfig:
    splits: list[str]
    output: str | None  # None: where training looks for them
    overwrite: bool
    engine: str  # processes | dask | ray
    workers: int
    address: str | None  # of a Dask or Ray cluster; None starts one here
    shard: int | None  # this call's share of ``shards``
    shards: int
    scenes_per_part: int  # what a kill can cost, at most, of every worker
    workspace: str
    run_dir: str
    progress_bar: bool
    data: DataConfig
    preset: str  # the model that the anchors are for, where data.anchors names no file
    num_anchors: int | None  # None: the preset's

    @property
    def scoring(self) -> Engine:
        """Its ``engine`` with workers."""
        return Engine(self.engine, self.workers, self.address)


@dataclass(frozen=True)
class Labelled:
    """What a call leaves in ``<run_dir>/labels.json``."""

    shard: int
    shards: int
    scenes: int  # of the shard
    labelled: int  # by this call
    seconds: float
    output: str
    complete: bool
    metric: str
    scorer: str
    invalid: int | None = None  # of the whole table; None before it is complete
    bytes_per_scene: float | None = None
    coverage: dict[str, Any] = field(default_factory=dict)  # what the splits do not hold of what was asked for

    def __str__(self) -> str:
        rate = f"{self.labelled / self.seconds:.1f} scenes/s" if self.labelled else "nothing was left to do"
        line = f"{self.scenes} scenes, {self.labelled} of them now in {self.seconds:.1f} s ({rate})"
        if not self.complete:
            return f"shard {self.shard} of {self.shards}: {line}; the last shard to finish writes {self.output}"
        return f"{line}, {self.invalid} invalid, {self.bytes_per_scene:.0f} bytes a scene\n{self.output}"


def label_splits(config: LabelsConfig, progress: PreparationProgress) -> tuple[Labelled, ScoreTable | None]:
    """Label every anchor at every scene of the splits, as far as it is not done yet. The table is None before the last
    of ``config.shards`` has finished."""
    given = len(read_anchors(Path(config.data.anchors))) if config.data.anchors is not None else config.num_anchors
    dataset, shard, shards = dataset_of(config.data, config.workspace), config.shard or 0, config.shards
    paths = dataset.ready(progress)
    found = {split: find_split(dataset, paths, split, progress) for split in config.splits}
    for of_split in found.values():
        of_split.coverage.say()
    scenes = {split: of_split.scenes for split, of_split in found.items()}
    require_fit(paths, [scene.current for members in scenes.values() for scene in members])
    train = scenes.get("train") or split_scenes(dataset, paths, "train", progress)
    anchors = anchors_of(dataset, paths, train, given or sizes(config.preset).num_anchors, progress)
    members = list({scene.token: scene for split in scenes.values() for scene in split}.values())
    default = labels_folder(config.workspace, paths, members, anchors)
    folder = Path(config.output or config.data.labels or default)
    began = time.monotonic()
    table = label_shard(
        members,
        paths.maps,
        anchors,
        folder,
        config.scoring,
        shard=shard,
        shards=shards,
        progress=partial(progress, WHAT),
        overwrite=config.overwrite,
        scenes_per_part=config.scenes_per_part,
    )
    pace = progress.paces.get(WHAT)  # None: the table was there
    size = sum(path.stat().st_size for path in folder.iterdir()) / len(members) if table is not None else None
    result = Labelled(
        shard=shard,
        shards=shards,
        scenes=pace.total if pace else len(members),
        labelled=pace.done - pace.first if pace else 0,
        seconds=time.monotonic() - began,
        output=str(folder),
        complete=table is not None,
        metric=TITLES["pdms"],
        scorer=SCORER_VERSION,
        invalid=len(table.invalid) if table is not None else None,
        bytes_per_scene=size,
        coverage={split: of.coverage.figures for split, of in found.items() if of.coverage.sentence},
    )
    return result, table
