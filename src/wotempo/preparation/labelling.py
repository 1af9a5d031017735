"""`make labels`: the score table over chosen splits, or one shard's share of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from wotempo.datasets import Dataset, split_scenes
from wotempo.navsim import ScoreTable
from wotempo.pdm.labels.engines import Engine
from wotempo.pdm.labels.label import label_shard
from wotempo.preparation.anchors import anchors_of
from wotempo.preparation.labels import labels_folder
from wotempo.preparation.progress import PreparationProgress

WHAT = "label anchors"


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
    invalid: int | None = None  # of the whole table; None before it is complete
    bytes_per_scene: float | None = None

    def __str__(self) -> str:
        rate = f"{self.labelled / self.seconds:.1f} scenes/s" if self.labelled else "nothing was left to do"
        line = f"{self.scenes} scenes, {self.labelled} of them now in {self.seconds:.1f} s ({rate})"
        if not self.complete:
            return f"shard {self.shard} of {self.shards}: {line}; the last shard to finish writes {self.output}"
        return f"{line}, {self.invalid} invalid, {self.bytes_per_scene:.0f} bytes a scene\n{self.output}"


def label_splits(
    dataset: Dataset,
    splits: list[str],
    num_anchors: int,
    output: str | None,
    engine: Engine,
    progress: PreparationProgress,
    *,
    shard: int,
    shards: int,
    overwrite: bool,
    scenes_per_part: int,
) -> tuple[Labelled, ScoreTable | None]:
    """Label every anchor at every scene of ``splits``, as far as it is not done yet. ``output``: the table's folder,
    None for the one where training looks. The table is None before the last of ``shards`` has finished."""
    paths = dataset.ready(progress)
    scenes = {split: split_scenes(dataset, paths, split, progress) for split in splits}
    train = scenes.get("train") or split_scenes(dataset, paths, "train", progress)
    anchors = anchors_of(dataset, paths, train, num_anchors, progress)
    members = list({scene.token: scene for split in scenes.values() for scene in split}.values())
    default = labels_folder(dataset.workspace, paths, members, anchors)
    folder = Path(output or dataset.data.labels or default)
    began = time.monotonic()
    table = label_shard(
        members,
        paths.maps,
        anchors,
        folder,
        engine,
        shard=shard,
        shards=shards,
        progress=lambda done, total: progress(WHAT, done, total),
        overwrite=overwrite,
        scenes_per_part=scenes_per_part,
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
        invalid=len(table.invalid) if table is not None else None,
        bytes_per_scene=size,
    )
    return result, table
