"""The weights that a run starts from: all of a checkpoint of the same model; of a single-frame one, for a temporal run,
everything but the fusion stage. Strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wotempo.checkpoints.described import PREFIX, Stored, read_stored
from wotempo.checkpoints.rebuild import require_same_weights
from wotempo.errors import UserError
from wotempo.training.module import LitPlanner

SAME = {"name": "none", "num_frames": 1, "frame_stride": 1}  # what a stage is known by, and what its absence means
FUSION = f"{PREFIX}fusion."


def require_start(stored: Stored, planner: str, mode: str, fusion: dict[str, Any]) -> None:
    """UserError where a checkpoint cannot start a run of ``planner`` in the layout ``mode`` that fuses by ``fusion``, a
    stage's name and options: it is of another planner or layout, or it fuses several frames in another way. What lies
    around a stage was trained on its maps."""
    if stored.planner != planner:
        raise UserError(
            f"init_from={stored.path} holds the planner '{stored.planner}', this run trains '{planner}': give a "
            f"checkpoint of '{planner}', or set planner={stored.planner}"
        )
    if (theirs := stored.config.mode) != mode:
        raise UserError(f"{stored.path} was trained in the layout '{theirs}', not '{mode}': set model.mode={theirs}")
    if stored.fusion.get("num_frames", 1) == 1 or like_for_like(stored, fusion):
        return
    first, second = (
        f"{options.get('num_frames', 1)} frames of stride {options.get('frame_stride', 1)} by '{options.get('name')}'"
        for options in (stored.fusion, fusion)
    )
    raise UserError(
        f"init_from={stored.path} fuses {first}, this run {second}: give one of the same stage and length, or give a "
        "single-frame checkpoint (trained with fusion=none)"
    )


def like_for_like(stored: Stored, fusion: dict[str, Any]) -> bool:
    """Whether a checkpoint fuses as many frames of the same stride by the same stage, so that all weights are taken."""
    return all(stored.fusion.get(key, absent) == fusion.get(key, absent) for key, absent in SAME.items())


def start_from(module: LitPlanner, path: Path) -> dict[str, Any]:
    """Load the weights into ``module``, those of the stage only if it is the same one -> {path, tensors, of_step}, and
    ``options``, those of the stage that are others. UserError names the tensors that differ."""
    stored, ours = read_stored(path), module.hparams
    require_start(stored, ours["planner"], module.model.config.mode, ours["fusion"])
    if stored.anchors_fingerprint != ours["anchors_fingerprint"]:
        theirs, here = stored.anchors_fingerprint, ours["anchors_fingerprint"]
        raise UserError(f"{path} knows the anchors {theirs}, this run uses {here}: give data.anchors the same file")
    same = like_for_like(stored, ours["fusion"])
    weights, wanted = (
        {k: v for k, v in of.items() if same or not k.startswith(FUSION)} for of in (stored.state, module.state_dict())
    )
    require_same_weights(path, weights, wanted)
    module.load_state_dict(weights, strict=False)
    keys = sorted({*stored.fusion, *ours["fusion"]} - SAME.keys()) if same else []
    options = [key for key in keys if stored.fusion.get(key) != ours["fusion"].get(key)]
    found = {"path": str(path), "tensors": len(weights), "of_step": stored.global_step}
    return found | ({"options": options} if options else {})
