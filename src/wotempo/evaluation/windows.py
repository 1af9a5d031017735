"""The windows that a checkpoint plans from, with their frames and targets cached."""

from __future__ import annotations

from typing import Any, Protocol

from wotempo.config.schema import DataConfig
from wotempo.data.module import NavsimDataModule
from wotempo.datasets import Progress
from wotempo.navsim import DataPaths, Scene
from wotempo.needs import WindowNeeds
from wotempo.preparation.datamodule import cache_root, data_module
from wotempo.training.module import LitPlanner


class OnData(Protocol):
    """A configuration that says what data is looked at, and where what is made of it is kept."""

    data: DataConfig
    workspace: str


def windows_of(
    module: LitPlanner,
    config: OnData,
    paths: DataPaths,
    scenes: dict[str, list[Scene]],
    progress: Progress,
    needs: WindowNeeds | None = None,
    **options: Any,
) -> NavsimDataModule:
    """Windows of ``scenes`` (by split) as ``module`` wants them, or as ``needs`` says; ``options``: further keywords of
    ``NavsimDataModule``."""
    model = module.model
    cache = cache_root(config.data, config.workspace, paths)
    needs = needs or model.needs
    data = data_module(
        model.config, config.data, paths, cache, scenes, model.anchors, needs, progress=progress, **options
    )
    data.build_caches()
    return data
