"""The typed schema of a run. An unknown key or a wrong type is an error before anything is loaded."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from wotempo.errors import UserError, unknown_key
from wotempo.planners.config import ModelConfig
from wotempo.training.optimiser import OptimiserConfig


@dataclass
class SplitConfig:
    """A split of a dataset: the directory name on disk, and which of its scenes."""

    split: str
    scene_filter: str | None  # the community's scene-filter yaml; None takes every full window
    max_scenes: int | None  # so many, evenly spread over the split
    logs: str | None  # a yaml with a list of log names that narrows the filter (train against val)


@dataclass
class DataConfig:
    """``kind=town`` generates what it needs below ``workspace``; ``kind=navsim`` reads OPENSCENE_DATA_ROOT."""

    kind: str  # a file of wotempo.datasets: town, navsim
    preset: str  # of the town
    seed: int  # of the town
    all_cameras: bool  # render the five cameras that WoTE does not read, too
    root: str | None  # None: workspace/<town> or the environment variables
    maps: str | None
    train: SplitConfig
    val: SplitConfig
    test: SplitConfig
    anchors: str | None  # (N, 8, 3) .npy; None: k-means over training futures
    labels: str | None  # score-table folder; None: made here
    cache: str | None  # frame and target cache; None: workspace/cache
    full_history_only: bool
    missing: str  # files of a scene are absent or damaged: error; drop it; mask its history frames, else drop it
    recheck: bool  # look at all logs and sensor files again, though the caches are known to be whole
    extra_drives: int  # ego drives simulated without sensors for the k-means of a town
    prepare_workers: int  # processes


@dataclass
class LightningConfig:
    """The options of Lightning's trainer, as it takes them."""

    accelerator: str
    devices: Any  # their number, -1 for all, or Lightning's other forms
    strategy: str
    precision: str
    max_epochs: int
    max_steps: int  # of the optimiser; -1: no limit
    limit_train_batches: Any  # a number of batches, a share of them, or None for all
    limit_val_batches: Any
    accumulate_grad_batches: int
    gradient_clip_val: float | None  # norm of all gradients together; None: not clipped
    check_val_every_n_epoch: int
    log_every_n_steps: int
    num_sanity_val_steps: int
    deterministic: bool
    max_time: str | None  # DD:HH:MM:SS

    def options(self) -> dict[str, Any]:
        """Name -> value, without what a subclass adds."""
        return {field.name: getattr(self, field.name) for field in fields(LightningConfig)}


@dataclass
class TrainerConfig(LightningConfig):
    """Lightning's options, and our own."""

    early_stopping: dict[str, Any] | None  # monitor, mode, patience (validations), min_delta; None: all epochs are done
    checkpoint_every_n_steps: int | None  # beside the one at each epoch's end; None: every ten minutes
    on_oom: str  # the device's memory is used up: fail, or halve the batch and accumulate gradients
    batch_size: int  # samples of one process
    num_workers: int  # loader processes
    run_length: int  # adjacent windows a batch holds in a row: they share frames
    ema: float | None  # decay of a running average of the weights: it is what is validated and saved
    threads: int | None  # CPU threads of torch; None leaves its default
    progress_bar: bool


@dataclass
class TrackingConfig:
    csv: bool
    wandb: str  # offline | online | off
    project: str
    entity: str | None  # user or team; None: the one of the key
    tags: list[str]
    pictures: int  # scenes drawn at the end of a run
    artifacts: list[str]  # of checkpoint (uploads it), checkpoint_reference (says where it lies), verdict, report


@dataclass
class ComparisonConfig:
    """What an ablation may call a difference. Decided before the first run."""

    reference: str  # the variant that the others are compared with
    metric: str
    margin: float  # the smallest difference of ``metric`` that matters


@dataclass
class RunConfig:
    """The root. ``fusion``, ``losses`` and ``acceptance`` are checked against what they configure."""

    name: str
    seed: int
    run_dir: str
    workspace: str
    init_from: str | None  # a single-frame checkpoint that a temporal run starts from
    image_checkpoint: str | None  # ImageNet weights of the camera branch, loaded strictly
    test: bool  # score the last checkpoint on the test split, too
    # A run_dir with a finished run of this very configuration is that run: false, true, or strict (by this very code).
    reuse: Any
    fresh: bool  # start anew where an unfinished run of this very configuration could be continued
    comparison: ComparisonConfig
    data: DataConfig
    name_prefix: str  # the planner's, of names that experiments give
    planner: str  # a folder of wotempo.planners
    model: ModelConfig
    fusion: dict[str, Any]
    optimiser: OptimiserConfig
    losses: dict[str, Any]  # weights, of the terms that the planner has
    trainer: TrainerConfig
    acceptance: dict[str, Any]
    tracking: TrackingConfig


@cache
def _empty(schema: type) -> Any:
    """The schema as a config whose keys, those of nested dataclasses too, still lack their values. Not to be changed:
    OmegaConf copies it where it merges."""
    empty = OmegaConf.structured(schema)
    OmegaConf.set_readonly(empty, False)  # frozen dataclasses are frozen once they are filled
    for name, kind in typing.get_type_hints(schema).items():
        if is_dataclass(kind):
            empty[name] = _empty(typing.cast(type, kind))
    return empty


def typed(config: DictConfig, schema: type = RunConfig) -> Any:
    """A composed config -> an instance of ``schema``. UserError names an unknown key and the nearest valid one, a value
    of the wrong type, or the key that has no value: no default stands in the schema."""
    try:
        merged = OmegaConf.merge(_empty(schema), config)
        if missing := sorted(OmegaConf.missing_keys(merged)):
            raise UserError(f"config key '{missing[0]}' has no value: give it one (defaults stand in configs/)")
        return OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        path, dot, key = str(error.full_key).rpartition(".")
        raise unknown_key(key, OmegaConf.select(_empty(schema), path) or (), path + dot) from None
    except OmegaConfBaseException as error:
        if variable := re.search(r"Environment variable '(\w+)' not found", str(error)):
            raise UserError(f"set the environment variable {variable.group(1)} (docs/real_navsim.md)") from None
        first_line = str(error).splitlines()[0]
        raise UserError(f"config key '{error.full_key}': {first_line}") from None
