"""Start a temporal run from a single-frame checkpoint: everything but the fusion stage, strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wotempo.errors import UserError
from wotempo.training.module import LitPlanner, check_layout


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A Lightning checkpoint of ours, plain data only. UserError where it is damaged or something else."""
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # truncated, foreign or unsafe: in each case the file is not usable
        kind = type(error).__name__
        raise UserError(f"{path} is no readable checkpoint ({kind}): train again or copy it anew") from None
    if not {"state_dict", "hyper_parameters"} <= set(checkpoint) or "model" not in checkpoint["hyper_parameters"]:
        raise UserError(f"{path} is not a checkpoint of this project: it lacks the model's hyperparameters")
    return checkpoint


def require_single_frame(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """UserError where a checkpoint of ``theirs`` fuses several frames: what lies around a stage was trained on its
    maps, and this run, which fuses by ``ours``, starts its own stage anew. Both are a stage's name and options."""
    if theirs.get("num_frames", 1) == 1:
        return
    first, second = (
        f"{fusion.get('num_frames', 1)} frames of stride {fusion.get('frame_stride', 1)} by '{fusion.get('name')}'"
        for fusion in (theirs, ours)
    )
    raise UserError(
        f"init_from={path} fuses {first}, this run {second}: give a single-frame checkpoint (trained with fusion=none)"
    )


def require_same_weights(path: Path, theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> None:
    """UserError with both shapes where the tensors of a checkpoint are not those of the model that is to hold them."""
    shapes = [{name: tuple(tensor.shape) for name, tensor in tensors.items()} for tensors in (theirs, ours)]
    differing = [name for name in sorted({*theirs, *ours}) if shapes[0].get(name) != shapes[1].get(name)]
    if differing:
        name = differing[0]
        there, here = (of.get(name, "absent") for of in shapes)
        raise UserError(
            f"{path} is of another model: {len(differing)} tensors differ, first {name}, {there} there and {here} "
            "here: set the model's sizes as they were, or give another checkpoint"
        )


def start_from(module: LitPlanner, path: Path) -> dict[str, Any]:
    """Load all weights but ``fusion.*`` into ``module`` -> {path, tensors, of_step}. UserError names what differs."""
    checkpoint = read_checkpoint(path)
    check_layout(checkpoint["hyper_parameters"], module.hparams["model"], str(path))
    theirs, ours = checkpoint["hyper_parameters"]["anchors_fingerprint"], module.hparams["anchors_fingerprint"]
    if theirs != ours:
        raise UserError(f"{path} knows the anchors {theirs}, this run uses {ours}: give data.anchors the same file")
    require_single_frame(path, checkpoint["hyper_parameters"].get("fusion", {}), module.hparams["fusion"])
    weights = {k: v for k, v in checkpoint["state_dict"].items() if not k.startswith("model.fusion.")}
    wanted = {k: v for k, v in module.state_dict().items() if not k.startswith("model.fusion.")}
    require_same_weights(path, weights, wanted)
    module.load_state_dict(weights, strict=False)
    return {"path": str(path), "tensors": len(weights), "of_step": int(checkpoint["global_step"])}
