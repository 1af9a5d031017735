"""The data module that fits a model: input sizes, map raster and layout are the model's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from wotempo.config.schema import DataConfig
from wotempo.data.module import NavsimDataModule
from wotempo.datasets.base import cache_root as cache_root  # for rooms that know this one only
from wotempo.features import FeatureSpec
from wotempo.navsim import DataPaths, Scene
from wotempo.needs import WindowNeeds
from wotempo.planners.config import ModelConfig
from wotempo.targets import TargetSpec


def feature_spec(model: ModelConfig) -> FeatureSpec:
    """The features that fit the model's inputs."""
    return FeatureSpec(model.image_height, model.image_width, model.lidar_grid)


def target_spec(model: ModelConfig) -> TargetSpec:
    """The targets that fit the model's map."""
    return TargetSpec(grid=model.map_grid, mode=cast(Any, model.mode), futures=model.path_scores)


def data_module(
    model: ModelConfig,
    data: DataConfig,
    paths: DataPaths,
    cache: Path,
    scenes: dict[str, list[Scene]],
    anchors: np.ndarray | None,
    needs: WindowNeeds,
    **options: Any,
) -> NavsimDataModule:
    """``options``: further keywords of ``NavsimDataModule`` (labels, batch_size, …)."""
    return NavsimDataModule(
        paths,
        cache,
        scenes,
        anchors,
        needs=needs,
        feature_spec=feature_spec(model),
        target_spec=target_spec(model),
        missing=data.missing,
        recheck=data.recheck,
        prepare_workers=data.prepare_workers,
        **options,
    )
