"""A procedural town in NAVSIM's format, generated where it is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wotempo.datasets.base import Dataset, Progress
from wotempo.datasets.supply import Supply
from wotempo.errors import UserError
from wotempo.navsim import DataPaths, read_splits
from wotempo.navsim.dataset import NO_IMITATION, read_no_imitation
from wotempo.navsim.twins import own_twins

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
        if not (self.root / "city.json").is_file():
            return None
        if self.city.recorders is not None:
            self._require_no_imitation()
        own_twins(self.root)
        return DataPaths(self.root, self.root / "maps")

    def _require_no_imitation(self) -> None:
        """UserError where the list of scenes that are not to be imitated is not there, or is another town's."""
        listed = read_no_imitation(self.root)
        if listed is None or listed.town != self.city.fingerprint:
            what = "is missing" if listed is None else "belongs to another town"
            raise UserError(f"{self.root / NO_IMITATION} {what}: delete the town's folder, it is generated again")

    def ready(self, progress: Progress) -> DataPaths:
        """Generated, or whatever of it is missing."""
        from wotempo.city import build_city

        root = self.root
        build_city(root, self.city, workers=self.data.prepare_workers, progress=progress)
        paths = self.here()
        assert paths is not None
        return paths

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
