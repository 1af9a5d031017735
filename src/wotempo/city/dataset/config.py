"""The configuration of a town: its size and its contents."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from wotempo.errors import UserError
from wotempo.navsim.schema import CAMERAS, NUM_FUTURE, NUM_HISTORY, STITCHED_CAMERAS

VERSION = 1  # of the generator: raise it when the same config yields other data


@dataclass(frozen=True)
class SplitSize:
    """Drives of one split, a log each where nobody else records them, spread evenly over districts that no other split
    uses."""

    logs: int
    districts: int


@dataclass(frozen=True)
class Recorders:
    """Vehicles that record each drive of train, each a log of its own; the first is the only one of other towns.

    Sensor files of their logs end where the last window does: the frames after that are futures, and only poses.
    """

    per_drive: int
    recovery_every: int  # of the others' logs every so many-th begins off the expert's path


@dataclass(frozen=True)
class CityConfig:
    """Everything that decides what a town's files contain."""

    train: SplitSize
    val: SplitSize
    test: SplitSize
    frames: int  # per log, 2 Hz
    seed: int = 0
    cameras: tuple[str, ...] = STITCHED_CAMERAS  # that are rendered
    sensors: bool = True  # False: logs and map only
    recorders: Recorders | None = None  # None: one vehicle records each drive

    def __post_init__(self) -> None:
        if self.frames < NUM_HISTORY + NUM_FUTURE:
            raise UserError(f"a town's log needs at least {NUM_HISTORY + NUM_FUTURE} frames, not {self.frames}")
        if unknown := set(self.cameras) - set(CAMERAS):
            raise UserError(f"unknown camera {min(unknown)!r}; choose from {', '.join(CAMERAS)}")

    @property
    def splits(self) -> dict[str, tuple[str, SplitSize]]:
        """Split -> (directory name of its logs, size)."""
        return {"train": ("trainval", self.train), "val": ("trainval", self.val), "test": ("test", self.test)}

    @property
    def plain(self) -> dict[str, Any]:
        """As plain data, without what it does not ask for: so a town from before such a key existed stays itself."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def fingerprint(self) -> str:
        """Equal fingerprints mean equal files."""
        text = json.dumps([VERSION, self.plain], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class TwinConfig(CityConfig):
    """A town of twin scenes: each log is one scene, and two logs are a pair. See ``city.twins``."""

    kinds: tuple[str, ...] = ("crossing", "lead", "kerb", "oncoming", "lane_change", "permanence")
    headroom: float = 0.08  # PDMS that knowing the history is worth in a pair, at least
    changed: float = 0.1  # share of anchors whose NC or TTC differs between the scenes, at least


PRESETS: dict[str, CityConfig] = {
    "twins_micro": TwinConfig(SplitSize(12, 1), SplitSize(12, 1), SplitSize(12, 1), frames=14),
    "twins": TwinConfig(SplitSize(2304, 12), SplitSize(96, 4), SplitSize(576, 12), frames=14),
    "micro": CityConfig(SplitSize(2, 1), SplitSize(1, 1), SplitSize(1, 1), frames=24),
    "tiny": CityConfig(SplitSize(12, 4), SplitSize(2, 1), SplitSize(11, 3), frames=32),
    "small": CityConfig(SplitSize(60, 8), SplitSize(6, 1), SplitSize(22, 5), frames=40),
    # The drives of small and micro, seen by several vehicles.
    "medium": CityConfig(SplitSize(60, 8), SplitSize(6, 1), SplitSize(22, 5), frames=40, recorders=Recorders(10, 3)),
    "medium_micro": CityConfig(SplitSize(1, 1), SplitSize(1, 1), SplitSize(1, 1), frames=24, recorders=Recorders(4, 3)),
}


def city_config(preset: str, seed: int = 0, all_cameras: bool = False) -> CityConfig:
    """A preset by name. Raises UserError when there is none of that name."""
    if preset not in PRESETS:
        raise UserError(f"unknown town preset {preset!r}; choose from {', '.join(PRESETS)}")
    return replace(PRESETS[preset], seed=seed, cameras=CAMERAS if all_cameras else STITCHED_CAMERAS)
