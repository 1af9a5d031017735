"""Score every anchor at every scene by PDM, into a score table on disk: the rewards of training.

wotempo labels data=town splits=[train,val]
wotempo labels --multirun cluster=slurm shards=8        # docs/labels.md
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from omegaconf import DictConfig

from wotempo.command_line.entry import run
from wotempo.config.schema import DataConfig, typed
from wotempo.configs import option_names
from wotempo.datasets import SPLITS, dataset_of
from wotempo.errors import UserError, nearest
from wotempo.navsim import ScoreTable, read_anchors, write_bytes
from wotempo.pdm.labels.engines import Engine
from wotempo.planners.config import sizes
from wotempo.preparation.labelling import Labelled, label_splits
from wotempo.preparation.progress import PreparationProgress

NAMED = 5  # invalid scenes that are named on the screen


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


def check(raw: DictConfig) -> LabelsConfig:
    config = typed(raw, LabelsConfig)
    for split in config.splits or [""]:
        if split not in SPLITS:
            raise UserError(f"there is no split '{split}': {nearest(split, list(SPLITS))}")
    if config.preset not in option_names("model"):
        raise UserError(f"there is no preset '{config.preset}': {nearest(config.preset, option_names('model'))}")
    engine_of(config).check()
    for key in ("shards", "scenes_per_part", "num_anchors"):
        if (value := getattr(config, key)) is not None and value < 1:
            raise UserError(f"{key} is {value}: set it to 1 or more")
    if config.shard is None and config.shards > 1:
        raise UserError(f"shards={config.shards} needs a shard from 0 to {config.shards - 1}, or --multirun")
    if not 0 <= (config.shard or 0) < config.shards:
        raise UserError(f"shard={config.shard} is none of shards={config.shards}; the first is 0")
    if config.overwrite and config.shards > 1:
        raise UserError("shards cannot overwrite what other shards write: delete the table first")
    return config


def engine_of(config: LabelsConfig) -> Engine:
    return Engine(config.engine, config.workers, config.address)


def label(config: LabelsConfig) -> tuple[Labelled, ScoreTable | None]:
    given = len(read_anchors(Path(config.data.anchors))) if config.data.anchors is not None else config.num_anchors
    with PreparationProgress(config.progress_bar) as progress:
        return label_splits(
            dataset_of(config.data, config.workspace),
            config.splits,
            given or sizes(config.preset).num_anchors,
            config.output,
            engine_of(config),
            progress,
            shard=config.shard or 0,
            shards=config.shards,
            overwrite=config.overwrite,
            scenes_per_part=config.scenes_per_part,
        )


def work(raw: DictConfig) -> int:
    result, table = label(check(raw))
    write_bytes(Path(raw.run_dir) / "labels.json", json.dumps(asdict(result)).encode())
    for token, reason in list(table.invalid.items() if table else [])[:NAMED]:
        print(f"invalid: {token}: {reason}")
    if result.invalid and result.invalid > NAMED:
        print(f"invalid: {result.invalid - NAMED} more, all in {Path(result.output) / 'index.json'}")
    print(result, flush=True)
    return 0


if __name__ == "__main__":
    # By its name: what belongs to __main__ cannot travel to the machines of a cluster.
    from wotempo.commands import labels

    run("labels", labels.LabelsConfig, labels.check, labels.work)
