"""The description that a checkpoint of this project carries of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from wotempo.checkpoints.plain_file import read_plain
from wotempo.configs import completed, values
from wotempo.errors import UserError
from wotempo.planners.config import OLDEST, ModelConfig
from wotempo.planners.registry import planner_class
from wotempo.training.module import ANCHORS

PREFIX = "model."  # of the planner's tensors among those of its LightningModule


@dataclass(frozen=True)
class Stored:
    """``hyperparameters``: as ``LitPlanner`` takes them. ``state``: its state dict. epoch, global_step: how long it was
    trained, 0 where the file does not say."""

    path: Path
    planner: str
    config: ModelConfig
    fusion: dict[str, Any]
    hyperparameters: dict[str, Any]
    state: dict[str, Tensor]
    epoch: int
    global_step: int

    @property
    def anchors_fingerprint(self) -> str:
        return str(self.hyperparameters.get("anchors_fingerprint", ""))


def read_stored(path: Path) -> Stored:
    """A checkpoint file of this project. UserError where it is damaged, unsafe or something else."""
    return described(path, read_plain(path))


def described(path: Path, content: Mapping[Any, Any]) -> Stored:
    """``read_stored`` of what was read from ``path``."""
    hyperparameters, state = content.get("hyper_parameters"), content.get("state_dict")
    sizes = hyperparameters.get("model") if isinstance(hyperparameters, dict) else None
    if not isinstance(state, dict) or not isinstance(hyperparameters, dict) or not isinstance(sizes, dict):
        raise UserError(
            f"{path} is not a checkpoint of this project, it lacks the model's hyperparameters: give one that training "
            "or direction=import wrote"
        )
    unknown = sorted(map(str, set(sizes) - {field.name for field in fields(ModelConfig)}))
    if unknown:
        raise UserError(f"{path} was written by another version (model.{unknown[0]} is unknown): use that one")
    planner = str(hyperparameters.get("planner", OLDEST))
    try:
        needs_anchors = planner_class(planner).needs_anchors
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if not any(str(key).startswith(PREFIX) for key in state):
        first = next(iter(state), "none")
        raise UserError(
            f"{path} is of another model: {len(state)} tensors differ, first {first}, as none is named '{PREFIX}…': "
            "take away what was put before their names (module., agent.), or give another checkpoint"
        )
    if needs_anchors and not isinstance(state.get(ANCHORS), Tensor):
        raise UserError(f"{path} holds the planner '{planner}' without its anchors ({ANCHORS}): train again")
    with buildable(path):
        return Stored(
            path=path,
            planner=planner,
            config=ModelConfig(**completed("model", sizes)),
            fusion=dict(hyperparameters.get("fusion") or values("fusion/none")),
            hyperparameters=dict(hyperparameters),
            state=state,
            **training_time(content),
        )


@contextmanager
def buildable(path: Path) -> Iterator[None]:
    """Around what is built of a checkpoint's description: with damaged values it may fail in any line. UserError."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:
        why = (str(error).splitlines() or [""])[0][:120] or type(error).__name__
        raise UserError(f"{path} describes a model that cannot be built ({why}): copy or download it anew") from error


def training_time(content: Mapping[Any, Any]) -> dict[str, int]:
    """epoch and global_step of a Lightning checkpoint; a bare state dict knows neither."""
    found = {key: content.get(key) for key in ("epoch", "global_step")}
    return {key: value if type(value) is int and value >= 0 else 0 for key, value in found.items()}
