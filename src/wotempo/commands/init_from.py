"""Start a temporal run from a single-frame checkpoint: everything but the fusion stage, strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from wotempo.errors import UserError
from wotempo.training.module import LitWoTE, check_layout


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


def start_from(module: LitWoTE, path: Path) -> dict[str, Any]:
    """Load all weights but ``fusion.*`` into ``module`` -> {path, tensors, of_step}. UserError names what differs."""
    checkpoint = read_checkpoint(path)
    check_layout(checkpoint["hyper_parameters"], module.hparams["model"], str(path))
    theirs, ours = checkpoint["hyper_parameters"]["anchors_fingerprint"], module.hparams["anchors_fingerprint"]
    if theirs != ours:
        raise UserError(f"{path} knows the anchors {theirs}, this run uses {ours}: give data.anchors the same file")
    weights = {k: v for k, v in checkpoint["state_dict"].items() if not k.startswith("model.fusion.")}
    wanted = {k: v.shape for k, v in module.state_dict().items() if not k.startswith("model.fusion.")}
    differing = sorted(set(weights) ^ set(wanted)) or [k for k in wanted if weights[k].shape != wanted[k]]
    if differing:
        raise UserError(f"{path} is of another model: {len(differing)} tensors differ, first {differing[0]}")
    module.load_state_dict(weights, strict=False)
    return {"path": str(path), "tensors": len(weights), "of_step": int(checkpoint["global_step"])}
