"""The logs of a data root: those that belong to a split, and whether their sensor files are there."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wotempo.errors import UserError
from wotempo.navsim.files import read_bytes, state_of, write_bytes
from wotempo.navsim.schema import STITCHED_CAMERAS, DataPaths, Frame
from wotempo.navsim.text_files import parse_json

SPLITS = ("train", "val", "test")
_SHOWN = 3
NO_IMITATION = "no_imitation.json"


@dataclass(frozen=True)
class SplitLogs:
    """One entry of ``splits.json``: the directory name of the split and the logs that belong to it."""

    split: str
    logs: tuple[str, ...]


def read_splits(root: Path) -> dict[str, SplitLogs]:
    """``splits.json`` of a generated town: {"train": {"split": "trainval", "logs": [...]}, "val": …, "test": …}.

    Raises UserError when it is missing or malformed.
    """
    path = root / "splits.json"
    try:
        raw = parse_json(read_bytes(path))
        return {name: _split_logs(entry) for name, entry in raw.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a list of splits ({error!r}); generate the town again") from error


def _split_logs(entry: Any) -> SplitLogs:
    split, logs = entry["split"], entry["logs"]
    if not isinstance(logs, list) or not all(isinstance(name, str) for name in (split, *logs)):
        raise TypeError("split and logs must be names")
    return SplitLogs(split, tuple(logs))


def write_splits(root: Path, splits: dict[str, SplitLogs]) -> None:
    """Write ``splits.json`` atomically."""
    raw = {name: {"split": entry.split, "logs": list(entry.logs)} for name, entry in splits.items()}
    write_bytes(root / "splits.json", json.dumps(raw, indent=1).encode())


def logs_here(paths: DataPaths, split: str) -> dict[str, Path]:
    """Name -> file of all logs in the folder of a split. UserError where there are none."""
    folder = paths.log_dir(split)
    present = {path.stem: path for path in sorted(folder.glob("*.pkl"))}
    if not present:
        raise UserError(f"{folder}: holds no logs (*.pkl); check OPENSCENE_DATA_ROOT and the split's name")
    return present


def log_paths(paths: DataPaths, split: str, names: Iterable[str] | None = None) -> list[Path]:
    """Log files of a split, sorted by name; all of them when ``names`` is None.

    Raises UserError when there are none, or when one that was asked for is missing. None is looked at.
    """
    folder, present = paths.log_dir(split), logs_here(paths, split)
    wanted = sorted(present if names is None else set(names))
    lost = {folder / f"{name}.pkl": None for name in wanted if name not in present}
    replace(Lack.told(folder, lost), looked_at=len(wanted)).refuse(folder, "log")
    return [present[name] for name in wanted]


def sensor_paths(paths: DataPaths, split: str, frame: Frame) -> list[Path]:
    """The files of the stitched cameras and the LiDAR of one frame. Raises UserError when the log does not name a
    camera's file."""
    *cameras, cloud = frame.sensor_files
    if missing := [name for name, file in zip(STITCHED_CAMERAS, cameras, strict=True) if not file]:
        raise UserError(f"log {frame.log_name}, frame {frame.token}: the log names no file for {missing[0]}")
    return [paths.blob_dir(split) / name for name in (*cameras, cloud)]


@dataclass(frozen=True)
class NoImitation:
    """Scenes whose future is no expert's answer to them, so that no planner should be taught to imitate it. ``town``:
    fingerprint of the dataset that they belong to."""

    town: str
    tokens: frozenset[str]


def read_no_imitation(root: Path) -> NoImitation | None:
    """``no_imitation.json`` of a dataset; None where it has no such file: then every future may be imitated. UserError
    where the file is none."""
    path = root / NO_IMITATION
    if not path.exists():
        return None
    try:
        raw = parse_json(read_bytes(path))
        town, tokens = raw["town"], raw["tokens"]
        if not isinstance(tokens, list) or not all(isinstance(text, str) for text in (town, *tokens)):
            raise TypeError("the town is a text, and the tokens are a list of texts")
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a list of scenes ({error!r}); generate the town again") from error
    return NoImitation(town, frozenset(tokens))


def write_no_imitation(root: Path, scenes: NoImitation) -> None:
    """Write ``no_imitation.json`` atomically."""
    raw = {"town": scenes.town, "tokens": sorted(scenes.tokens)}
    write_bytes(root / NO_IMITATION, json.dumps(raw, indent=1).encode())


@dataclass(frozen=True)
class Lack:
    """How many of the files that were looked at are missing or empty, and the first names of both."""

    looked_at: int = 0
    missing: int = 0
    empty: int = 0
    first_missing: tuple[str, ...] = ()
    first_empty: tuple[str, ...] = ()

    @classmethod
    def among(cls, folder: Path, files: Iterable[Path]) -> Lack:
        """Names are told from ``folder`` on."""
        return cls.told(folder, {file: size_of(file) for file in dict.fromkeys(files)})

    @classmethod
    def told(cls, folder: Path, sizes: Mapping[Path, int | None]) -> Lack:
        """``among``, where the sizes are known; None of a file that is not there."""
        missing = [file.relative_to(folder).as_posix() for file, size in sizes.items() if size is None]
        empty = [file.relative_to(folder).as_posix() for file, size in sizes.items() if size == 0]
        return cls(len(sizes), len(missing), len(empty), tuple(missing[:_SHOWN]), tuple(empty[:_SHOWN]))

    def __add__(self, other: Lack) -> Lack:
        return Lack(
            self.looked_at + other.looked_at,
            self.missing + other.missing,
            self.empty + other.empty,
            (self.first_missing + other.first_missing)[:_SHOWN],
            (self.first_empty + other.first_empty)[:_SHOWN],
        )

    def refuse(self, folder: Path, kind: str) -> None:
        """UserError where there is any."""
        parts = [
            f"{count} of {self.looked_at} {kind} files are {what}, first {', '.join(first)}"
            for count, what, first in (
                (self.missing, "missing", self.first_missing),
                (self.empty, "empty (0 bytes)", self.first_empty),
            )
            if count
        ]
        if parts:
            raise UserError(f"{folder}: {'; '.join(parts)}; the download is incomplete, fetch it again")


def size_of(file: Path) -> int | None:
    """Bytes; None where there is no such file. UserError where it cannot be looked at."""
    return size_in(state_of(file))


def size_in(state: os.stat_result | None) -> int | None:
    """Bytes of a file in this state; None of what is no file."""
    return state.st_size if state is not None and stat.S_ISREG(state.st_mode) else None


def lack_of_sensors(paths: DataPaths, split: str, frames: Iterable[Frame]) -> Lack:
    """Of the sensor files of these frames: the thing to look at for navtrain, whose sensor files stop at the current
    frame of each scene."""
    return Lack.among(paths.blob_dir(split), (file for frame in frames for file in sensor_paths(paths, split, frame)))
