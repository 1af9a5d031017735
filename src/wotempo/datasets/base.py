"""The interface of a dataset: where it lies, which logs a split has, and what is said of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
from omegaconf import DictConfig

from wotempo.config.schema import DataConfig
from wotempo.datasets.supply import Supply
from wotempo.errors import UserError
from wotempo.navsim import DataPaths
from wotempo.navsim.dataset import SPLITS as SPLITS  # for rooms that know this one only

T = TypeVar("T")

Progress = Callable[[str, int, int], None]  # (what is done, how much of it is done, how much there is)


def counted(items: Sequence[T], what: str, progress: Progress) -> Iterator[T]:
    """The items, one by one, while ``progress`` says how many were dealt with."""
    progress(what, 0, len(items))
    for done, item in enumerate(items, 1):
        yield item
        progress(what, done, len(items))


def check_split(split: str) -> None:
    """UserError where ``split``, the key of a command, is none."""
    if split not in SPLITS:
        raise UserError(f"split is '{split}': set it to train, val or test")


def cache_root(data: DataConfig, workspace: str, paths: DataPaths) -> Path:
    """The folder of what is computed from a dataset's files: one for each dataset."""
    return Path(data.cache or Path(workspace) / "cache") / paths.root.name


class Dataset(ABC):
    """Logs in NAVSIM's format on disk. A subclass says what sets this source of logs apart from the others.

    ``data`` is the run's configuration group of that name; what is generated or computed lies below ``workspace``.
    """

    note: ClassVar[str] = ""  # what must stand beside every figure that was measured on it
    # How its files come to this machine, for ``make plan-data`` and ``make doctor``.
    supply: ClassVar[Supply] = Supply("docs/adding_a_dataset.md")

    def __init__(self, data: DataConfig, workspace: str) -> None:
        self.data, self.workspace = data, workspace

    @property
    @abstractmethod
    def name(self) -> str:
        """What reports and verdicts call it."""

    @abstractmethod
    def here(self) -> DataPaths | None:
        """Its folders; nothing is made. None where they are still to be generated. UserError where the configuration
        or the environment does not say where they are."""

    def ready(self, progress: Progress) -> DataPaths:
        """Its folders, generated where they are missing and the dataset can be generated. UserError where it cannot."""
        paths = self.here()
        if paths is None:
            raise UserError(f"{self.name} is not on this machine ({self.supply.how})")
        return paths

    def logs(self, paths: DataPaths, split: str) -> frozenset[str] | None:
        """Names of the logs that the dataset itself counts to ``split``, one of SPLITS. None where only the log lists
        and scene filters of the configuration tell."""
        return None

    @property
    def extra_drives(self) -> int:
        """How many futures ``extra_futures`` returns; the anchors' file name depends on it."""
        return 0

    def extra_futures(self) -> np.ndarray:
        """(extra_drives, 8, 3) poses x, y (m), heading (rad) in the ego frame, every 0.5 s: futures beside those of
        the training scenes, for the k-means of the anchors."""
        return np.zeros((0, 8, 3))

    @classmethod
    def without_environment(cls, raw: DictConfig) -> tuple[DictConfig, list[str]]:
        """The configuration without the keys whose environment variables are not set, and one line for the user about
        each variable that is missing."""
        return raw, []
