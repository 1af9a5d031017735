"""Real NAVSIM (OpenScene logs and sensors, nuPlan maps), as the devkit's scripts download it."""

from __future__ import annotations

import os
from copy import deepcopy
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from wotempo.datasets.base import SPLITS, Dataset
from wotempo.datasets.navsim_archives import NavsimArchives
from wotempo.navsim import DataPaths


class Navsim(Dataset):
    """The folders of OPENSCENE_DATA_ROOT and NUPLAN_MAPS_ROOT, or of ``data.root`` and ``data.maps``."""

    name = "NAVSIM"
    supply = NavsimArchives("docs/real_navsim.md")

    def here(self) -> DataPaths:
        """UserError where neither the configuration nor the environment names its folder."""
        if self.data.root is None:
            return DataPaths.from_env(os.environ)
        root = Path(self.data.root)
        return DataPaths(root, Path(self.data.maps) if self.data.maps else root / "maps")

    @classmethod
    def without_environment(cls, raw: DictConfig) -> tuple[DictConfig, list[str]]:
        """Without NAVSIM_DEVKIT_ROOT there are no scene filters and log lists to check."""
        lacking = []
        keys = [f"data.{split}.{file}" for split in SPLITS for file in ("scene_filter", "logs")]
        if not os.environ.get("NAVSIM_DEVKIT_ROOT") and (unknown := [key for key in keys if not _resolves(raw, key)]):
            lacking.append("NAVSIM_DEVKIT_ROOT is not set: git clone the devkit, it has the scene filters")
            raw = deepcopy(raw)
            for key in unknown:
                OmegaConf.update(raw, key, None)
        if raw.data.root is None and not os.environ.get("OPENSCENE_DATA_ROOT"):
            lacking.append("OPENSCENE_DATA_ROOT is not set: the folder on the large disk that will hold navsim_logs/")
        return raw, lacking


def _resolves(raw: DictConfig, key: str) -> bool:
    try:
        OmegaConf.select(raw, key)
    except InterpolationResolutionError:
        return False
    return True
