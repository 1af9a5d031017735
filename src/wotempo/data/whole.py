"""The note that the caches of some windows are whole: with it a start looks at the files of records, and not at the
millions of files that they were made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wotempo.data.identity import file_stamp
from wotempo.data.store import RecordStore
from wotempo.maps.locations import map_path
from wotempo.navsim.files import Stamp, sweep, write_bytes
from wotempo.navsim.index.stored import StoredLog
from wotempo.navsim.scenes import by_log, locations_of
from wotempo.navsim.schema import DataPaths, Scene
from wotempo.navsim.text_files import parse_json


def made_from(
    paths: DataPaths, scenes: Mapping[str, Sequence[Scene]], stores: Sequence[RecordStore], needs: Sequence[Any]
) -> str | None:
    """A hash over scenes (by split), states of their logs and maps, the stores and ``needs``, plain values that decide
    which records there must be. None where logs are held and come from no file."""
    logs = {id(scene.log): scene.log for members in scenes.values() for scene in members}
    stamps = []
    for log in logs.values():
        if not isinstance(log, StoredLog):
            return None
        stamps.append([log.split, log.name, *log.stamp])
    every = (scene for members in scenes.values() for scene in members)
    maps = [file_stamp(map_path(paths.maps, place), place) for place in sorted(locations_of(every))]
    windows = {split: [(log.name, current.tolist()) for log, _, current in by_log(of)] for split, of in scenes.items()}
    content = [sorted(stamps), maps, windows, [store.root.name for store in stores], list(needs)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def is_whole(note: Path) -> bool:
    """Whether the note is there, and every file of records that it names is as it was."""
    try:
        parts = parse_json(note.read_bytes())
        return all(Stamp.of(note.parents[1] / name) == Stamp(*stamp) for name, stamp in parts.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def write_note(note: Path, stores: Iterable[RecordStore], groups: Iterable[str]) -> None:
    """Name the files of records of these groups in ``stores``, which lie beside the note's folder. Only for a process
    that holds the folder of the caches."""
    sweep(note.parent)
    every = list(groups)
    parts = {
        (store.root / group / name).relative_to(note.parents[1]).as_posix(): [stamp.size, stamp.mtime_ns]
        for store in stores
        for group in every
        for name, stamp in store.index(group).parts.items()
    }
    write_bytes(note, json.dumps(parts).encode())
