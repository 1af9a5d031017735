"""Start a temporal run from a single-frame checkpoint: everything but the fusion stage, strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wotempo.checkpoints.described import PREFIX, Stored, read_stored
from wotempo.checkpoints.rebuild import require_same_weights
from wotempo.errors import UserError
from wotempo.training.module import LitPlanner

FUSION = f"{PREFIX}fusion."


def require_start(stored: Stored, planner: str, mode: str, fusion: dict[str, Any]) -> None:
    """UserError where a checkpoint cannot start a run of ``planner`` in the layout ``mode`` that fuses by ``fusion``, a
    stage's name and options: it is of another planner or layout, or it fuses several frames. What lies around a stage
    was trained on its maps, and a run starts its own stage anew."""
    if stored.planner != planner:
        raise UserError(
            f"init_from={stored.path} holds the planner '{stored.planner}', this run trains '{planner}': give a "
            f"checkpoint of '{planner}', or set planner={stored.planner}"
        )
    if (theirs := stored.config.mode) != mode:
        raise UserError(f"{stored.path} was trained in the layout '{theirs}', not '{mode}': set model.mode={theirs}")
    if stored.fusion.get("num_frames", 1) == 1:
        return
    first, second = (
        f"{options.get('num_frames', 1)} frames of stride {options.get('frame_stride', 1)} by '{options.get('name')}'"
        for options in (stored.fusion, fusion)
    )
    raise UserError(
        f"init_from={stored.path} fuses {first}, this run {second}: give a single-frame checkpoint (trained with "
        "fusion=none)"
    )


def start_from(module: LitPlanner, path: Path) -> dict[str, Any]:
    """Load all weights but ``fusion.*`` into ``module`` -> {path, tensors, of_step}. UserError names what differs."""
    stored, ours = read_stored(path), module.hparams
    require_start(stored, ours["planner"], module.model.config.mode, ours["fusion"])
    if stored.anchors_fingerprint != ours["anchors_fingerprint"]:
        theirs, here = stored.anchors_fingerprint, ours["anchors_fingerprint"]
        raise UserError(f"{path} knows the anchors {theirs}, this run uses {here}: give data.anchors the same file")
    weights = {k: v for k, v in stored.state.items() if not k.startswith(FUSION)}
    wanted = {k: v for k, v in module.state_dict().items() if not k.startswith(FUSION)}
    require_same_weights(path, weights, wanted)
    module.load_state_dict(weights, strict=False)
    return {"path": str(path), "tensors": len(weights), "of_step": stored.global_step}
