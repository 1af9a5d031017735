"""The planners by name. A planner is a folder of this one, ``<name>/<name>.py``: it is found, not listed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wotempo.configs import values
from wotempo.errors import UserError, nearest
from wotempo.found_by_file import defined_in
from wotempo.fusion import build_fusion, level_of
from wotempo.needs import WindowNeeds
from wotempo.planners.base import Planner
from wotempo.planners.config import OLDEST, ModelConfig

FOLDER = Path(__file__).parent


def planner_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*/*.py") if path.stem == path.parent.name)


def planner_class(name: str) -> type[Planner]:
    """The ``Planner`` that ``<name>/<name>.py`` defines. UserError with the nearest name where there is none; TypeError
    where the file defines none, or two."""
    known = planner_names()
    if name not in known:
        raise UserError(f"planner is '{name}', which is no planner: {nearest(name, known)}")
    module = import_module(f"wotempo.planners.{name}.{name}")
    made = defined_in(module, lambda kind: issubclass(kind, Planner))
    if len(made) != 1:
        names = " and ".join(kind.__name__ for kind in made) or "none"
        raise TypeError(f"{module.__file__} defines {names}: it must define one Planner")
    return made[0]


def build_planner(name: str, config: ModelConfig, fusion: dict[str, Any], anchors: np.ndarray | None) -> Planner:
    """The planner ``name`` from plain data: what a checkpoint stores is enough to build it again.

    ``fusion``: the stage's ``name``, ``level`` and constructor keywords. ``anchors`` (N, 8, 3) where the planner needs
    some: the weights are worth nothing with others."""
    # The stage draws from a stream of its own: the rest starts from the same weights whichever stage is chosen.
    channels, grid = config.level(level_of(fusion))
    with torch.random.fork_rng(devices=[]):
        stage = build_fusion(channels=channels, grid=grid, **fusion)
    planner = planner_class(name).build(config, stage, anchors)
    return planner.to(memory_format=torch.channels_last) if config.channels_last else planner


def needs_of(name: str, config: ModelConfig, fusion: dict[str, Any]) -> WindowNeeds:
    """What that planner wants of the data, without building it: the stage is built at a size that costs nothing."""
    with torch.random.fork_rng(devices=[]):
        stage = build_fusion(**{**fusion, "channels": 2, "grid": config.level(level_of(fusion))[1]})
    return planner_class(name).window_needs(config, stage)


def loss_weights(name: str, given: dict[str, Any] | None) -> Any:
    """The planner's ``loss_weights`` from the ``losses`` that a checkpoint stores, with what they lack: of WoTE, what
    the absence of younger keys meant; of another planner, what configs/planner says."""
    lacking = values("older/keys" if name == OLDEST else f"planner/{name}")["losses"]
    return planner_class(name).loss_weights(**{**lacking, **(given or {})})
