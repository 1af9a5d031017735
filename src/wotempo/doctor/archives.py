"""The archives of NAVSIM: what the devkit's download scripts fetch, and how much of it this machine has.

Sizes and counts as the devkit's documentation publishes them (unpacked; archives come whole, with all eight cameras).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wotempo.maps.locations import INDEX_NAME, MAP_VERSIONS
from wotempo.navsim import DataPaths, Frame, sensor_paths


@dataclass(frozen=True)
class Archive:
    gigabytes: float
    script: str  # below <devkit>/download


MAPS = Archive(2, "download_maps.sh")
TRAIN_LOGS = Archive(14, "download_navtrain.sh: metadata")
TRAIN_CURRENT = Archive(300, "download_navtrain.sh: navtrain_current_1 … 4")
TRAIN_HISTORY = Archive(145, "download_navtrain.sh: navtrain_history_1 … 4")
TEST_LOGS = Archive(1, "download_test.sh: metadata")
TEST_SENSORS = Archive(217, "download_test.sh: sensors")
LOGS = {"trainval": 1310, "test": 147}  # files
TOKENS = {"train": 85_109, "val": 18_179, "test": 12_146}  # of navtrain and navtest
FRAMES_PER_TOKEN = 1.48  # distinct frames of navtrain with its history, over its tokens
IN_ARCHIVES = 4  # frames of a navtrain window: the current one and 1.5 s of history


@dataclass(frozen=True)
class Piece:
    """One line of the plan: ``needed`` and ``here`` count files. ``bytes_here`` of them; ``bytes_missing``: of what is
    to be fetched or made, None where nobody knows yet."""

    name: str
    needed: int
    here: int
    bytes_here: int
    bytes_missing: float | None
    how: str

    @property
    def complete(self) -> bool:
        return self.here >= self.needed


def sizes(files: Iterable[Path]) -> list[int]:
    """Bytes of each file; 0 where it is missing (or empty, which is no better)."""
    return [file.stat().st_size if file.is_file() else 0 for file in files]


def piece(name: str, files: list[Path], archive: Archive | None, how: str = "") -> Piece:
    """An archive is fetched whole; without one, missing files are taken to be as large as those that are here."""
    found = sizes(files)
    here = sum(size > 0 for size in found)
    if here == len(files):
        missing: float | None = 0.0
    elif archive is not None:
        missing = archive.gigabytes * 1e9
    else:
        missing = sum(found) / here * (len(files) - here) if here else None
    return Piece(name, len(files), here, sum(found), missing, how if archive is None else archive.script)


def absent(name: str, needed: int, archive: Archive) -> Piece:
    """What cannot be counted yet, because the logs that name it are missing."""
    return Piece(name, needed, 0, 0, archive.gigabytes * 1e9, archive.script)


def map_files(root: Path) -> list[Path]:
    """The index and the four maps, whether they are there or not."""
    return [root / INDEX_NAME, *(root / place / version / "map.gpkg" for place, version in MAP_VERSIONS.items())]


def frame_files(paths: DataPaths, split: str, frames: Iterable[Frame]) -> list[Path]:
    """Of the sensors that the model looks at: three cameras and the LiDAR."""
    return [file for frame in frames for file in sensor_paths(paths, split, frame)]
