"""The stages by name. A stage is a file of this folder: it is found, not listed."""

from __future__ import annotations

import inspect

from wotempo.found_by_file import found_by_file
from wotempo.fusion.base import TemporalFusion


def find_stages() -> dict[str, type[TemporalFusion]]:
    """Name of a file -> the ``TemporalFusion`` that it defines and that is built from ``(channels, grid, …)``.

    Classes built from another stage (controls, dropout of frames) wrap stages and are none. TypeError where a file
    defines two.
    """
    return found_by_file(__name__.rpartition(".")[0], _is_stage, "stages")


def _is_stage(kind: type) -> bool:
    return issubclass(kind, TemporalFusion) and next(iter(inspect.signature(kind).parameters), "") == "channels"
