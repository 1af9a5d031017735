"""Checkpoints of this project: written so that evaluation and ``init_from=`` read them, read so as to be exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning

from wotempo.checkpoints.described import PREFIX, Stored, read_stored
from wotempo.errors import UserError
from wotempo.interop.compare import check_tensors
from wotempo.interop.weights import NO_FUSION, WoTEWeights, wanted_tensors, without_prefix
from wotempo.interop.written import Written, write_files

PLANNER = "wote"
OTHER_MODEL = "its training wrote another model: train again"


def write_checkpoint(weights: WoTEWeights, output: str | Path, overwrite: bool = False) -> Written:
    """The file of ``checkpoint_content``, and its anchors."""
    return write_files(weights, checkpoint_content(weights), Path(output), overwrite)


def checkpoint_content(weights: WoTEWeights) -> dict[str, Any]:
    """A Lightning checkpoint of a ``LitPlanner`` without fusion and without an optimiser's state."""
    hyperparameters = {
        "model": weights.config.to_dict(),
        "fusion": dict(NO_FUSION),
        "optimiser": None,
        "losses": None,
        "anchors_fingerprint": weights.anchors_fingerprint,
        "planner": PLANNER,
    }
    return {
        "epoch": weights.epoch,
        "global_step": weights.global_step,
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": {PREFIX + key: value for key, value in weights.tensors.items()},
        "hparams_name": "kwargs",
        "hyper_parameters": hyperparameters,
    }


def read_single_frame(path: str | Path) -> WoTEWeights:
    """A checkpoint of WoTE trained without fusion. UserError for one with a fusion stage, which does not end with its
    weights, and for one of another planner, for which the official code has no place."""
    stored = read_stored(Path(path))
    if stored.planner != PLANNER:
        raise UserError(
            f"{path} holds the planner '{stored.planner}', and the official format is that of WoTE: give a checkpoint "
            "that was trained with planner=wote"
        )
    _check_single_frame(stored)
    check_tensors(stored.path, stored.state, wanted_tensors(stored.config, PREFIX), OTHER_MODEL)
    tensors = without_prefix(stored.state, PREFIX)
    return WoTEWeights(stored.config, tensors, stored.path, stored.epoch, stored.global_step)


def _check_single_frame(stored: Stored) -> None:
    """By name, not by its parameters only: a stage without any still changes what the rest was trained on."""
    fusion = stored.fusion
    parameters = sum(str(key).startswith(f"{PREFIX}fusion.") for key in stored.state)
    if fusion.get("name") != NO_FUSION["name"] or parameters:
        raise UserError(
            f"{stored.path} fuses {fusion.get('num_frames', 'several')} frames by the stage '{fusion.get('name')}', "
            f"and the official model has no place for it: its {parameters} tensors and all history would be lost, and "
            "the rest was trained on fused maps; export a checkpoint that was trained with fusion=none"
        )
