"""A procedural town in NAVSIM's format, generated where it is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wotempo.datasets.base import Dataset, Progress
from wotempo.datasets.supply import Supply
from wotempo.errors import UserError
from wotempo.navsim import DataPaths, read_splits
from wotempo.navsim.twins import FILE as TWINS
from wotempo.navsim.twins import read_twins

if TYPE_CHECKING:  # what generates a town is of no use to a run on other data
    from wotempo.city import CityConfig


class Town(Dataset):
    """The town of ``data.preset`` and ``data.seed``, in ``data.root`` or below the workspace."""

    note = "town data: these are not NAVSIM numbers"
    supply = Supply("make train-convgru-1epoch generates it")

    @property
    def name(self) -> str:
        """The preset, in quotes."""
        return f"town '{self.data.preset}'"

    @property
    def city(self) -> CityConfig:
        """Everything that decides what its files contain. UserError for an unknown preset."""
        from wotempo.city import city_config

        return city_config(self.data.preset, self.data.seed, self.data.all_cameras)

    @property
    def root(self) -> Path:
        """One folder per preset, seed and generator version."""
        if self.data.root is not None:
            return Path(self.data.root)
        return Path(self.workspace) / f"town-{self.data.preset}-{self.data.seed}-{self.city.fingerprint}"

    def here(self) -> DataPaths | None:
        """None before it is generated completely."""
        return DataPaths(self.root, self.root / "maps") if (self.root / "city.json").is_file() else None

    def ready(self, progress: Progress) -> DataPaths:
        """Generated, or whatever of it is missing."""
        from wotempo.city import build_city

        root = self.root
        build_city(root, self.city, workers=self.data.prepare_workers, progress=progress)
        twins = read_twins(root)
        if twins is not None and twins.town != self.city.fingerprint:
            raise UserError(
                f"{root / TWINS} lists the pairs of another town ({twins.town}, this one is {self.city.fingerprint}); "
                "delete the folder and generate the town again"
            )
        return DataPaths(root, root / "maps")

    def logs(self, paths: DataPaths, split: str) -> frozenset[str]:
        """As its ``splits.json`` lists them: its train and val logs lie in one folder."""
        return frozenset(read_splits(paths.root)[split].logs)

    @property
    def extra_drives(self) -> int:
        """``data.extra_drives``."""
        return self.data.extra_drives

    def extra_futures(self) -> np.ndarray:
        """Of drives that are simulated without sensors."""
        from wotempo.city import simulate_futures

        return simulate_futures(self.city, self.extra_drives, seed=self.data.seed)
