"""The stages by name. A stage is a file of this folder: it is found, not listed."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

from wotempo.fusion.base import TemporalFusion


def find_stages() -> dict[str, type[TemporalFusion]]:
    """Name of a file -> the ``TemporalFusion`` that it defines and that is built from ``(channels, grid, …)``.

    Classes built from another stage (controls, dropout of frames) wrap stages and are none. TypeError where a file
    defines two.
    """
    package = __name__.rpartition(".")[0]
    stages = {}
    for found in pkgutil.iter_modules([str(Path(__file__).parent)]):
        module = import_module(f"{package}.{found.name}")
        made = [kind for kind in vars(module).values() if _is_stage(kind) and kind.__module__ == module.__name__]
        if len(made) > 1:
            names = " and ".join(kind.__name__ for kind in made)
            raise TypeError(f"{module.__file__} defines the stages {names}: give each a file of its own")
        if made:
            stages[found.name] = made[0]
    return stages


def _is_stage(kind: object) -> bool:
    if not (inspect.isclass(kind) and issubclass(kind, TemporalFusion)) or inspect.isabstract(kind):
        return False
    return next(iter(inspect.signature(kind).parameters), "") == "channels"
