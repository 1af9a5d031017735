"""All rules about a run's config, in one place and before anything is loaded."""

from __future__ import annotations

from dataclasses import asdict, make_dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from wotempo.checkpoints.described import read_stored
from wotempo.checkpoints.init_from import require_start
from wotempo.config.criteria import build_criterion
from wotempo.config.missing import MISSING
from wotempo.config.ranges import check_ranges
from wotempo.config.schema import DataConfig, RunConfig, TrackingConfig, typed
from wotempo.errors import UserError, nearest, require_name, require_named, require_value
from wotempo.fusion import build_fusion, level_of
from wotempo.planners.registry import planner_class
from wotempo.training.optimiser import SCHEDULES

POLICIES = ("fail", "halve")  # of trainer.on_oom, see runs/out_of_memory.py
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
ACCELERATORS = ("cpu", "gpu", "cuda", "mps", "auto")
MODES = ("offline", "online", "off")  # of tracking.wandb
ARTIFACTS = ("checkpoint", "checkpoint_reference", "verdict", "report")


def check_config(raw: DictConfig, schema: type[RunConfig] = RunConfig) -> RunConfig:
    """Types, constructor keywords, and rules between fields. UserError names the key and the nearest valid one."""
    config: RunConfig = typed(raw, schema)
    check_ranges(config)
    require_name("name", config.name)
    if config.reuse not in (True, False, "strict"):
        raise UserError(f"reuse is {config.reuse!r}: set it to false, true or strict")
    check_planner(config)
    check_fusion(config)
    for name, options in config.acceptance.items():
        build_criterion(f"acceptance.{name}", options)
    check_tracking(config.tracking)
    check_files(config)
    check_numbers(config)
    check_start(config)
    check_early_stopping(config)
    return config


def check_planner(config: RunConfig) -> None:
    """That there is such a planner, and that ``losses`` are the weights of its terms."""
    holder = make_dataclass("Losses", [("losses", planner_class(config.planner).loss_weights)])
    config.losses = asdict(typed(OmegaConf.create({"losses": config.losses}), holder).losses)


def check_fusion(config: RunConfig) -> None:
    """Name and keywords of the stage, by building it at a size that costs nothing."""
    if "name" not in config.fusion or "num_frames" not in config.fusion:
        raise UserError("fusion needs the keys 'name' and 'num_frames': choose one of configs/fusion")
    _, grid = config.model.level(level_of(config.fusion))
    build_fusion(**{**config.fusion, "channels": 2, "grid": grid})
    frames = config.fusion["num_frames"]
    if not isinstance(frames, int):
        raise UserError(f"fusion.num_frames is {frames!r}: set the number of frames, the current one included")
    guard = config.acceptance.get("gradient_flow", {})
    if frames > 1 and config.model.history_grad == 0 and guard.get("upstream", True):
        raise UserError(
            "model.history_grad=0 cuts the history off from the encoder on purpose, which gradient_flow would call a "
            "fault: say so with acceptance.gradient_flow.upstream=false"
        )
    frozen = config.model.frozen_backbone
    if frames > 1 and frozen and guard.get("upstream", True):
        raise UserError(
            "model.frozen_backbone=true trains no encoder, on purpose, which gradient_flow would call a fault: say so "
            "with acceptance.gradient_flow.upstream=false"
        )
    if frozen and config.init_from is None:
        raise UserError("model.frozen_backbone=true needs a trained encoder: give init_from=<single-frame checkpoint>")


def check_files(config: RunConfig) -> None:
    filters = ("data.train.scene_filter", "data.val.scene_filter")
    for key in ("init_from", "image_checkpoint", "data.anchors", *filters):
        value = attrgetter(key)(config)
        if value is not None and not Path(value).is_file():
            raise UserError(f"{key}: there is no file {value}")


def check_tracking(tracking: TrackingConfig) -> None:
    if tracking.wandb not in MODES:
        raise UserError(f"tracking.wandb is '{tracking.wandb}'; set it to {', '.join(MODES)}")
    for kind in tracking.artifacts:
        if kind not in ARTIFACTS:
            raise UserError(f"tracking.artifacts has '{kind}': {nearest(kind, ARTIFACTS)}")
    if {"checkpoint", "checkpoint_reference"} <= set(tracking.artifacts):
        raise UserError("tracking.artifacts has checkpoint and checkpoint_reference: leave one of them out")


def check_start(config: RunConfig) -> None:
    """The checkpoint to start from must be of this planner and layout, and single-frame; building tells the rest."""
    if config.init_from is not None:
        require_start(read_stored(Path(config.init_from)), config.planner, config.model.mode, config.fusion)


def check_early_stopping(config: RunConfig) -> None:
    """Its four keys, and the least number of epochs from which on a run that it ended is complete."""
    given, trainer = config.trainer.early_stopping, config.trainer
    if given is None:
        return
    place = "trainer.early_stopping"
    if set(given) != {"monitor", "mode", "patience", "min_delta"}:
        raise UserError(f"{place} has the keys {', '.join(given)}: give it monitor, mode, patience and min_delta")
    require_value(f"{place}.mode", given["mode"], ("min", "max"))
    if not str(given["monitor"]).startswith("val/"):
        raise UserError(f"{place}.monitor is '{given['monitor']}': name a metric of validation, such as val/ade")
    if type(given["patience"]) is not int or given["patience"] < 1:
        raise UserError(f"{place}.patience is {given['patience']!r}: set it to 1 or more validations")
    if not isinstance(given["min_delta"], int | float) or given["min_delta"] < 0:
        raise UserError(f"{place}.min_delta is {given['min_delta']!r}: set it to 0 or more")
    least = config.acceptance.get("complete", {}).get("min_epochs")
    if type(least) is not int or not 1 <= least <= max(1, trainer.max_epochs):
        raise UserError(
            f"{place} may end the run before trainer.max_epochs: say with acceptance.complete.min_epochs, from 1 to "
            f"{trainer.max_epochs}, how many epochs a complete run has at least"
        )
    if trainer.limit_val_batches == 0 or trainer.max_epochs < 1:
        raise UserError(f"{place} looks at validation behind epochs: give the run both, or leave it out")


def check_accelerator(place: str, accelerator: str) -> None:
    require_value(place, accelerator, ACCELERATORS)


def check_given_checkpoint(checkpoint: str | None, purpose: str) -> None:
    """UserError where no checkpoint is given to ``purpose`` (drive, probe), or where there is no such file."""
    if checkpoint is None:
        raise UserError(f"nothing to {purpose}: give checkpoint=<file>")
    if not Path(checkpoint).is_file():
        raise UserError(f"there is no checkpoint {checkpoint}")


def check_direction(config: Any, *keys: str, example: str) -> None:
    """UserError where a command that converts both ways lacks its ``direction`` or another of the ``keys``."""
    for key in ("direction", *keys):
        if getattr(config, key) is None:
            raise UserError(f"{key} is missing: direction=import|export {example}")
    require_named("direction", config.direction, ("import", "export"))


def check_scenes(data: DataConfig) -> None:
    """Which scenes are taken, and what becomes of those that are not whole."""
    require_value("data.missing", data.missing, MISSING)
    for split in ("train", "val", "test"):
        count = getattr(data, split).max_scenes
        if count is not None and count < 1:
            raise UserError(f"data.{split}.max_scenes is {count}: set it to 1 or more, or to null for all")


def check_precision(place: str, precision: str, accelerator: str) -> None:
    require_value(place, precision, PRECISIONS)
    if precision == "16-mixed" and accelerator == "cpu":  # Lightning would take bf16 instead
        raise UserError(f"{place} is '16-mixed', which needs a GPU: on a CPU set it to bf16-mixed")


def check_numbers(config: RunConfig) -> None:
    trainer = config.trainer
    if trainer.on_oom not in POLICIES:
        raise UserError(f"trainer.on_oom is '{trainer.on_oom}': set it to {' or '.join(POLICIES)}")
    if trainer.on_oom == "halve" and trainer.devices not in (1, "1"):
        raise UserError(
            f"trainer.on_oom=halve works in one process, and trainer.devices is {trainer.devices}: the others would "
            "wait for ever for the one whose memory is full; set trainer.devices=1 or trainer.on_oom=fail"
        )
    if trainer.limit_train_batches == 0:
        raise UserError("trainer.limit_train_batches is 0: nothing would be trained; set it to 1 or more, or null")
    if trainer.max_steps == -1 and trainer.max_epochs < 1:
        raise UserError("the run has no end: set trainer.max_epochs or trainer.max_steps to 1 or more")
    for key in ("limit_train_batches", "limit_val_batches"):
        share = getattr(trainer, key)
        if share is not None and not (isinstance(share, int | float) and share >= 0):
            raise UserError(f"trainer.{key} is {share!r}: set a number of batches, a share such as 0.1, or null")
    check_accelerator("trainer.accelerator", trainer.accelerator)
    check_scenes(config.data)
    check_precision("trainer.precision", trainer.precision, trainer.accelerator)
    require_value("optimiser.schedule", config.optimiser.schedule, SCHEDULES)
