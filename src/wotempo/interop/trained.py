"""Checkpoints of this project: written so that evaluation and ``init_from=`` read them, read so as to be exported."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import lightning

from wotempo.checkpoints.plain_file import read_plain
from wotempo.errors import UserError
from wotempo.interop.compare import check_tensors
from wotempo.interop.weights import NO_FUSION, WoTEWeights, training_time, wanted_tensors, without_prefix
from wotempo.interop.written import Written, write_files
from wotempo.planners.config import ModelConfig

PREFIX = "model."
OTHER_MODEL = "its training wrote another model: train again"


def write_checkpoint(weights: WoTEWeights, output: str | Path, overwrite: bool = False) -> Written:
    """A Lightning checkpoint of a ``LitPlanner`` without fusion and without an optimiser's state, and its anchors."""
    hyperparameters = {
        "model": weights.config.to_dict(),
        "fusion": dict(NO_FUSION),
        "optimiser": None,
        "losses": None,
        "anchors_fingerprint": weights.anchors_fingerprint,
    }
    content = {
        "epoch": weights.epoch,
        "global_step": weights.global_step,
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": {PREFIX + key: value for key, value in weights.tensors.items()},
        "hparams_name": "kwargs",
        "hyper_parameters": hyperparameters,
    }
    return write_files(weights, content, Path(output), overwrite)


def read_single_frame(path: str | Path) -> WoTEWeights:
    """A checkpoint trained without fusion. UserError for one with a fusion stage: it does not end with its weights."""
    path = Path(path)
    checkpoint = read_plain(path)
    config, fusion, state = described(path, checkpoint)
    _check_single_frame(path, fusion, state)
    check_tensors(path, state, wanted_tensors(config, PREFIX), OTHER_MODEL)
    return WoTEWeights(config, without_prefix(state, PREFIX), path, **training_time(checkpoint))


def described(path: Path, checkpoint: dict[Any, Any]) -> tuple[ModelConfig, dict[str, Any], dict[Any, Any]]:
    """What a checkpoint of this project says of itself: sizes, fusion stage, state dict. UserError if it is none."""
    hyperparameters, state = checkpoint.get("hyper_parameters"), checkpoint.get("state_dict")
    if not isinstance(state, dict) or not isinstance(hyperparameters, dict) or "model" not in hyperparameters:
        raise UserError(
            f"{path} is not a checkpoint of this project, it lacks the model's hyperparameters: give one that training "
            "or direction=import wrote"
        )
    return _config(path, hyperparameters["model"]), dict(hyperparameters.get("fusion", {})), state


def _check_single_frame(path: Path, fusion: dict[str, Any], state: dict[Any, Any]) -> None:
    """By name, not by its parameters only: a stage without any still changes what the rest was trained on."""
    parameters = sum(str(key).startswith(f"{PREFIX}fusion.") for key in state)
    if fusion.get("name") != NO_FUSION["name"] or parameters:
        raise UserError(
            f"{path} fuses {fusion.get('num_frames', 'several')} frames by the stage '{fusion.get('name')}', and the "
            f"official model has no place for it: its {parameters} tensors and all history would be lost, and the rest "
            "was trained on fused maps; export a checkpoint that was trained with fusion=none"
        )


def _config(path: Path, model: dict[str, Any]) -> ModelConfig:
    unknown = sorted(set(model) - {field.name for field in fields(ModelConfig)})
    if unknown:
        raise UserError(f"{path} was written by another version (model.{unknown[0]} is unknown): use that one")
    return ModelConfig(**model)
