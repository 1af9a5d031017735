"""The typed schema of a run. An unknown key or a wrong type is an error before anything is loaded."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from wotempo.errors import UserError, nearest
from wotempo.planners.config import OLDEST, ModelConfig
from wotempo.training.optimiser import OptimiserConfig


@dataclass
class SplitConfig:
    """A split of a dataset: the directory name on disk, and which of its scenes."""

    split: str = "trainval"
    scene_filter: str | None = None  # the community's scene-filter yaml; None takes every full window
    max_scenes: int | None = None  # so many, evenly spread over the split
    logs: str | None = None  # a yaml with a list of log names that narrows the filter (train against val)


@dataclass
class DataConfig:
    """``kind=town`` generates what it needs below ``workspace``; ``kind=navsim`` reads OPENSCENE_DATA_ROOT."""

    kind: str = "town"
    preset: str = "tiny"  # of the town
    seed: int = 0  # of the town
    all_cameras: bool = False  # render the five cameras that WoTE does not read, too
    root: str | None = None  # None: workspace/<town> or the environment variables
    maps: str | None = None
    train: SplitConfig = field(default_factory=SplitConfig)
    val: SplitConfig = field(default_factory=SplitConfig)
    test: SplitConfig = field(default_factory=SplitConfig)
    anchors: str | None = None  # (N, 8, 3) .npy; None: k-means over training futures
    labels: str | None = None  # score-table folder; None: made here
    cache: str | None = None  # frame and target cache; None: workspace/cache
    full_history_only: bool = False
    missing_history: str = "error"  # sensor files of a history frame are absent: error, or mask the frame
    extra_drives: int = 4000  # ego drives simulated without sensors for the k-means of a town
    prepare_workers: int = 2


@dataclass
class TrainerConfig:
    accelerator: str = "cpu"
    devices: Any = 1
    strategy: str = "auto"
    precision: str = "32-true"
    max_epochs: int = 1
    max_steps: int = -1
    limit_train_batches: Any = None
    limit_val_batches: Any = None
    accumulate_grad_batches: int = 1
    gradient_clip_val: float | None = 1.0
    check_val_every_n_epoch: int = 1
    log_every_n_steps: int = 1
    num_sanity_val_steps: int = 0
    deterministic: bool = False
    max_time: str | None = None
    checkpoint_every_n_steps: int | None = None  # beside the one at each epoch's end; None: every ten minutes
    on_oom: str = "fail"  # the device's memory is used up: fail, or halve the batch and accumulate gradients
    batch_size: int = 8
    num_workers: int = 0
    run_length: int = 4  # adjacent windows a batch holds in a row: they share frames
    ema: float | None = None  # decay of a running average of the weights: it is what is validated and saved
    threads: int | None = None  # CPU threads of torch; None leaves its default
    progress_bar: bool = True


@dataclass
class TrackingConfig:
    csv: bool = True
    wandb: str = "offline"  # offline | online | off
    project: str = "wotempo"
    entity: str | None = None  # user or team; None: the one of the key
    tags: list[str] = field(default_factory=list)
    pictures: int = 2
    # Of checkpoint (uploads it), checkpoint_reference (says where it lies), verdict, report
    artifacts: list[str] = field(default_factory=list)


@dataclass
class ComparisonConfig:
    """What an ablation may call a difference. Decided before the first run."""

    reference: str = "none"  # the variant that the others are compared with
    metric: str = "pdms"
    margin: float = 0.02  # the smallest difference of ``metric`` that matters


@dataclass
class RunConfig:
    """The root. ``fusion``, ``losses`` and ``acceptance`` are checked against what they configure."""

    name: str = "run"
    seed: int = 0
    run_dir: str = "runs"
    workspace: str = "workspace"
    init_from: str | None = None  # a single-frame checkpoint that a temporal run starts from
    image_checkpoint: str | None = None  # ImageNet weights of the camera branch, loaded strictly
    test: bool = False
    reuse: bool = False
    fresh: bool = False  # start anew where an unfinished run of this very configuration could be continued
    comparison: ComparisonConfig = field(default_factory=ComparisonConfig)
    data: DataConfig = field(default_factory=DataConfig)
    name_prefix: str = ""  # the planner's, of names that experiments give
    planner: str = OLDEST  # a folder of wotempo.planners; run folders that name none are WoTE's
    model: ModelConfig = field(default_factory=ModelConfig)
    fusion: dict[str, Any] = field(default_factory=dict)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    losses: dict[str, Any] = field(default_factory=dict)  # weights, of the terms that the planner has
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    acceptance: dict[str, Any] = field(default_factory=dict)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


def known_keys(schema: type, path: list[str]) -> list[str]:
    """Field names of the dataclass found by walking ``path`` from ``schema``."""
    for part in path:
        hints = typing.get_type_hints(schema)
        schema = hints.get(part, dict)
        if not is_dataclass(schema):
            return []
    return [f.name for f in fields(schema)]


def typed(config: DictConfig, schema: type = RunConfig) -> Any:
    """A composed config -> an instance of ``schema``; UserError names the key and the nearest valid one."""
    try:
        base = OmegaConf.structured(schema)
        for frozen in ("model", "losses"):  # dataclasses; only here they are still to be filled
            if frozen in base:
                OmegaConf.set_readonly(base[frozen], False)
        merged = OmegaConf.merge(base, config)
        return OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        *path, key = str(error.full_key).replace("[", ".").replace("]", "").split(".")
        hint = nearest(key, known_keys(schema, path))
        raise UserError(f"unknown config key '{error.full_key}': {hint}") from None
    except OmegaConfBaseException as error:
        if missing := re.search(r"Environment variable '(\w+)' not found", str(error)):
            raise UserError(f"set the environment variable {missing.group(1)} (docs/real_navsim.md)") from None
        first_line = str(error).splitlines()[0]
        raise UserError(f"config key '{error.full_key}': {first_line}") from None
