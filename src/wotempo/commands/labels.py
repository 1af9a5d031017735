"""Score every anchor at every scene by PDM, into a score table on disk: the rewards of training.

wotempo labels data=town splits=[train,val]
wotempo labels --multirun cluster=slurm shards=8        # docs/labels.md
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from omegaconf import DictConfig

from wotempo.command_line.entry import run
from wotempo.config.schema import typed
from wotempo.configs import option_names
from wotempo.datasets import SPLITS
from wotempo.errors import UserError, require_least, require_named
from wotempo.evidence.targets import without_signal
from wotempo.navsim import write_bytes
from wotempo.navsim.per_scene import by_cause
from wotempo.navsim.share import Share
from wotempo.preparation.labelling import LabelsConfig, label_splits
from wotempo.preparation.progress import PreparationProgress
from wotempo.records.evidence import token_hash


def check(raw: DictConfig) -> LabelsConfig:
    config = typed(raw, LabelsConfig)
    for split in config.splits or [""]:
        require_named("split", split, SPLITS)
    require_named("preset", config.preset, option_names("model"))
    config.scoring.check()
    require_least(1, config, "scenes_per_part", "num_anchors")
    Share.asked(config.shard, config.shards)
    if config.overwrite and config.shards > 1:
        raise UserError("shards cannot overwrite what other shards write: delete the table first")
    return config


def work(raw: DictConfig) -> int:
    config = check(raw)
    with PreparationProgress(config.progress_bar) as progress:
        result, table = label_splits(config, progress)
    content = asdict(result)
    if table is not None:
        content["token_set"] = token_hash([*table.rows, *table.invalid])
    write_bytes(Path(config.run_dir) / "labels.json", json.dumps(content).encode())
    for cause in by_cause(table.invalid.items() if table else ()):
        print(f"invalid: {cause}")
    if result.invalid:
        print(f"invalid: all by their tokens in {Path(result.output) / 'index.json'}")
    print(result, flush=True)
    if table is not None and (complaint := without_signal(table, list(table.rows))):
        raise UserError(f"{result.output}: {complaint} (make doctor says more); the table is kept, do not train on it")
    return 0


if __name__ == "__main__":
    # By its name: what belongs to __main__ cannot travel to the machines of a cluster.
    from wotempo.commands import labels

    run("labels", labels.LabelsConfig, labels.check, labels.work)
