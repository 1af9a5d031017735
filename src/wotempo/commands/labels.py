"""PDM sub-scores of every anchor at every scene, as a score table on disk: what training reads as rewards.

python -m wotempo.commands.labels [data=town|navsim] [stages=[train,val]] [data.anchors=...] [output=...]
python -m wotempo.commands.labels --multirun cluster=slurm shards=8        # docs/labels.md
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from omegaconf import DictConfig

from wotempo.command_line.entry import run
from wotempo.config.schema import DataConfig, typed
from wotempo.errors import UserError, nearest
from wotempo.navsim import Scene, ScoreTable, read_anchors, write_bytes
from wotempo.pdm.labels.engines import Engine
from wotempo.pdm.labels.label import label_shard
from wotempo.pdm.labels.label_parts import SCENES_PER_PART
from wotempo.planners.config import PRESETS
from wotempo.preparation.prepare import anchors_of, dataset, labels_folder, stage_scenes
from wotempo.preparation.progress import PreparationProgress

STAGES = ("train", "val", "test")
WHAT = "label anchors"
NAMED = 5  # invalid scenes that are named on the screen


@dataclass
class LabelsConfig:
    stages: list[str] = field(default_factory=lambda: ["train", "val"])
    output: str | None = None  # None: where training looks for them
    overwrite: bool = False
    engine: str = "processes"  # processes | dask | ray
    workers: int = 2
    address: str | None = None  # of a Dask or Ray cluster; None starts one here
    shard: int | None = None  # this call's share of ``shards``
    shards: int = 1
    scenes_per_part: int = SCENES_PER_PART  # what a kill can cost, at most, of every worker
    workspace: str = "workspace"
    run_dir: str = "runs"
    progress_bar: bool = True
    data: DataConfig = field(default_factory=DataConfig)
    preset: str = "wote_tiny"  # the model that the anchors are for, where data.anchors names no file
    num_anchors: int | None = None  # None: the preset's


@dataclass(frozen=True)
class Result:
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


def check(raw: DictConfig) -> LabelsConfig:
    config = typed(raw, LabelsConfig)
    for stage in config.stages or [""]:
        if stage not in STAGES:
            raise UserError(f"there is no stage '{stage}': {nearest(stage, list(STAGES))}")
    if config.preset not in PRESETS:
        raise UserError(f"there is no preset '{config.preset}': {nearest(config.preset, list(PRESETS))}")
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


def label(config: LabelsConfig) -> tuple[Result, ScoreTable | None]:
    given = len(read_anchors(Path(config.data.anchors))) if config.data.anchors is not None else config.num_anchors
    number = given or PRESETS[config.preset].num_anchors
    with PreparationProgress(config.progress_bar) as progress:
        paths = dataset(config.data, config.workspace, progress)
        scenes = {stage: stage_scenes(paths, config.data, stage, progress) for stage in config.stages}
        train = scenes.get("train") or stage_scenes(paths, config.data, "train", progress)
        anchors = anchors_of(config.data, config.workspace, number, paths, train, progress)
        members: list[Scene] = list({scene.token: scene for stage in scenes.values() for scene in stage}.values())
        folder = labels_folder(config.workspace, paths, members, anchors)
        output = Path(config.output or config.data.labels or folder)
        began = time.monotonic()
        table = label_shard(
            members,
            paths.maps,
            anchors,
            output,
            engine_of(config),
            shard=config.shard or 0,
            shards=config.shards,
            progress=lambda done, total: progress(WHAT, done, total),
            overwrite=config.overwrite,
            scenes_per_part=config.scenes_per_part,
        )
    pace = progress.paces.get(WHAT)  # None: the table was there
    size = sum(path.stat().st_size for path in output.iterdir()) / len(members) if table is not None else None
    result = Result(
        shard=config.shard or 0,
        shards=config.shards,
        scenes=pace.total if pace else len(members),
        labelled=pace.done - pace.first if pace else 0,
        seconds=time.monotonic() - began,
        output=str(output),
        complete=table is not None,
        invalid=len(table.invalid) if table is not None else None,
        bytes_per_scene=size,
    )
    return result, table


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

    run("labels", labels.check, labels.work)
