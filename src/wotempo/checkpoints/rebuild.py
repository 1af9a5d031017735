"""The planner of a checkpoint file, built again from what the file says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wotempo.checkpoints.described import buildable, described
from wotempo.checkpoints.plain_file import read_plain
from wotempo.errors import UserError
from wotempo.planners.registry import planner_class
from wotempo.training.module import LitPlanner

LISTED = 8  # tensors, at most, that a sentence names


def load_module(path: Path, variant: str = "model") -> LitPlanner:
    """The module of a checkpoint file, in evaluation, on the CPU. ``variant``: ``model``; a name of the planner's
    ``variants``, which plans otherwise with the same weights; or ``untrained``, which keeps the anchors only.

    UserError where the file is damaged, unsafe, of another project, or does not hold the weights that it describes, and
    for a variant that its planner does not have."""
    return rebuild(path, read_plain(path), variant)


def rebuild(path: Path, content: Mapping[Any, Any], variant: str = "model", finite: bool = True) -> LitPlanner:
    """``load_module`` of what was read from ``path``. ``finite``: refuse weights that are not, as a record of a failed
    step may hold them."""
    stored = described(path, content)
    kind = planner_class(stored.planner)
    if variant not in ("model", "untrained", *kind.variants):
        have = f"it has {', '.join(kind.variants)}" if kind.variants else "it plans in one way"
        raise UserError(f"{path} holds the planner '{stored.planner}', which has no variant '{variant}': {have}")
    changed = {**stored.config.to_dict(), **kind.variants.get(variant, {})}
    with buildable(path):
        module = LitPlanner.untrained({**stored.hyperparameters, "model": changed}, stored.state)
    if variant != "untrained":
        require_same_weights(path, stored.state, module.state_dict(), finite)
        with buildable(path):
            module.load_state_dict(stored.state)
    return module.eval()


def require_same_weights(
    path: Path, theirs: Mapping[Any, Any], ours: Mapping[str, Tensor], finite: bool = True
) -> None:
    """UserError with both shapes where the tensors of a checkpoint are not those of the model that is to hold them, or,
    if they must be, are not finite."""
    shapes = [
        {name: tuple(value.shape) if isinstance(value, Tensor) else "no tensor" for name, value in tensors.items()}
        for tensors in (theirs, ours)
    ]
    differing = [name for name in sorted({*theirs, *ours}, key=str) if shapes[0].get(name) != shapes[1].get(name)]
    if differing:
        first, *others = differing
        there, here = (of.get(first, "absent") for of in shapes)
        more = len(others) - LISTED
        rest = f"; then {', '.join(others[:LISTED])}{f' and {more} more' if more > 0 else ''}" if others else ""
        raise UserError(
            f"{path} is of another model: {len(differing)} tensors differ, first {first}, {there} there and {here} "
            f"here{rest}: set the model's sizes as they were, or give another checkpoint"
        )
    if not finite:
        return
    broken = [name for name, value in theirs.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if broken:
        raise UserError(f"{path} holds NaN or infinity in {len(broken)} tensors, first {broken[0]}: give another one")
