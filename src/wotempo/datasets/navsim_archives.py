"""The archives of NAVSIM: what the devkit's download scripts fetch.

Sizes and counts as the devkit's documentation publishes them (unpacked; archives come whole, with all eight cameras).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from wotempo.datasets.base import SPLITS
from wotempo.datasets.supply import FILES_PER_FRAME, Archive, Archives, Part, Piece, Reach, Supply, absent, map_files

# Scripts below <devkit>/download.
MAPS = Archive(2, "download_maps.sh")
TRAIN_LOGS = Archive(14, "download_navtrain.sh: metadata")
TRAIN_CURRENT = Archive(300, "download_navtrain.sh: navtrain_current_1 … 4")
TRAIN_HISTORY = Archive(145, "download_navtrain.sh: navtrain_history_1 … 4")
TEST_LOGS = Archive(1, "download_test.sh: metadata")
TEST_SENSORS = Archive(217, "download_test.sh: sensors")
OF_TRAINING: dict[Part, Archive] = {
    "maps": MAPS,
    "logs": TRAIN_LOGS,
    "current": TRAIN_CURRENT,
    "history": TRAIN_HISTORY,
}
OF_TEST: dict[Part, Archive] = {"maps": MAPS, "logs": TEST_LOGS, "current": TEST_SENSORS, "history": TEST_SENSORS}
REACH = Reach(4, "lie further back than 1.5 s: no archive of navtrain has them, only the whole trainval split")


class NavsimArchives(Supply):
    """navtrain for train and val, navtest for test."""

    tokens: ClassVar[Mapping[str, int]] = {"train": 85_109, "val": 18_179, "test": 12_146}
    log_files: ClassVar[Mapping[str, int]] = {"train": 1310, "test": 147}
    frames_per_token = 1.48
    archives: ClassVar[Archives] = {"train": OF_TRAINING, "val": OF_TRAINING, "test": OF_TEST}
    # navtrain's sensor files are those of its own windows; navtest's are those of whole logs.
    sensor_reach: ClassVar[Mapping[str, Reach]] = {"train": REACH, "val": REACH}

    def of_split(self, split: str, with_history: bool) -> list[Piece]:
        """Published counts and whole archives."""
        pieces, archives = [], self.archives[split]
        if split in self.log_files:
            pieces.append(absent(f"{split}: logs", self.log_files[split], archives["logs"]))
        now = self.tokens[split] * FILES_PER_FRAME
        pieces.append(absent(f"{split}: current frames", now, archives["current"]))
        if with_history and split != "test":
            past = round(self.tokens[split] * (self.frames_per_token - 1) * FILES_PER_FRAME)
            pieces.append(absent(f"{split}: history frames, about", past, archives["history"]))
        return pieces

    def whole(self, name: str, with_history: bool) -> list[Piece]:
        """The maps and every split."""
        maps = absent("maps", len(map_files(Path())), MAPS)
        return [maps, *(piece for split in SPLITS for piece in self.of_split(split, with_history))]
