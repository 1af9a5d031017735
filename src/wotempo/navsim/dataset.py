"""The logs of a data root: those that belong to a split, and whether their sensor files are there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wotempo.errors import UserError
from wotempo.navsim.files import read_bytes, write_bytes
from wotempo.navsim.schema import STITCHED_CAMERAS, DataPaths, Frame
from wotempo.navsim.text_files import parse_json

_SHOWN = 3


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


def log_paths(paths: DataPaths, split: str, names: Iterable[str] | None = None) -> list[Path]:
    """Log files of a split, sorted by name; all of them when ``names`` is None.

    Raises UserError when there are none, or when one that was asked for is missing or empty.
    """
    folder = paths.log_dir(split)
    present = {path.stem: path for path in sorted(folder.glob("*.pkl"))}
    if not present:
        raise UserError(f"{folder}: holds no logs (*.pkl); check OPENSCENE_DATA_ROOT and the split's name")
    wanted = sorted(present if names is None else set(names))
    _complain(folder, [folder / f"{name}.pkl" for name in wanted], "log")
    return [present[name] for name in wanted]


def sensor_paths(paths: DataPaths, split: str, frame: Frame) -> list[Path]:
    """The files of the stitched cameras and the LiDAR of one frame. Raises UserError when the log does not name a
    camera's file."""
    if missing := [camera for camera in STITCHED_CAMERAS if camera not in frame.cameras]:
        raise UserError(f"log {frame.log_name}, frame {frame.token}: the log names no file for {missing[0]}")
    names = [*(frame.cameras[camera].path for camera in STITCHED_CAMERAS), frame.lidar_path]
    return [paths.blob_dir(split) / name for name in names]


def check_frames(paths: DataPaths, split: str, frames: Iterable[Frame]) -> None:
    """Raises UserError with the count and the first few names when sensor files of these frames are missing or empty.

    The thing to call for navtrain, whose sensor files stop at the current frame of each scene.
    """
    files = [file for frame in frames for file in sensor_paths(paths, split, frame)]
    _complain(paths.blob_dir(split), files, "sensor")


def _complain(folder: Path, files: Sequence[Path], kind: str) -> None:
    missing, empty = [], []
    for file in dict.fromkeys(files):
        if not file.is_file():
            missing.append(file)
        elif file.stat().st_size == 0:
            empty.append(file)
    parts = []
    for bad, what in ((missing, "missing"), (empty, "empty (0 bytes)")):
        if bad:
            first = ", ".join(file.relative_to(folder).as_posix() for file in bad[:_SHOWN])
            parts.append(f"{len(bad)} of {len(files)} {kind} files are {what}, first {first}")
    if parts:
        raise UserError(f"{folder}: {'; '.join(parts)}; the download is incomplete, fetch it again")
