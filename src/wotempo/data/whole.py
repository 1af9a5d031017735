"""The note that the caches of some windows are whole: with it a start looks at the files of records, and not at the
millions of files that they were made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wotempo.data.identity import file_stamp, state_in
from wotempo.data.store import RecordStore
from wotempo.maps.locations import map_path
from wotempo.navsim.files import Stamp, sweep, write_bytes
from wotempo.navsim.index.stored import StoredLog
from wotempo.navsim.scenes import by_log, locations_of
from wotempo.navsim.schema import DataPaths, Scene
from wotempo.navsim.text_files import parse_json


@dataclass(frozen=True)
class Lacking:
    """``out``: split -> reason -> tokens of the scenes that are left out. ``masked``: split -> number of scenes that
    lack history frames only. ``watched``: files and folders, named from the data root on, that change when what is
    absent comes or what is damaged is mended, with their state."""

    out: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    masked: Mapping[str, int] = field(default_factory=dict)
    watched: Mapping[str, Sequence[int] | None] = field(default_factory=dict)

    def still(self, root: Path) -> bool:
        """Whether nothing came since."""
        return all(state_in(root / name) == state for name, state in self.watched.items())

    def gone(self, split: str) -> dict[str, str]:
        """Token -> reason."""
        return {token: why for why, tokens in self.out.get(split, {}).items() for token in tokens}

    @classmethod
    def from_plain(cls, raw: Mapping[str, Any]) -> Lacking:
        """From JSON. TypeError, ValueError, KeyError or AttributeError for anything else."""
        out = {
            split: {str(why): [str(token) for token in tokens] for why, tokens in reasons.items()}
            for split, reasons in raw["out"].items()
        }
        return cls(out, {split: int(count) for split, count in raw["masked"].items()}, dict(raw["watched"]))


NOTHING = Lacking()


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


def whole_but_for(note: Path, root: Path) -> Lacking | None:
    """What the caches do not hold, because it could not be had below ``root``, and was left out or masked; None where
    the note is not there, a file of records that it names is not as it was, or something came since."""
    try:
        raw = parse_json(note.read_bytes())
        lacking = Lacking.from_plain(raw["lacking"]) if "lacking" in raw else NOTHING
        parts = raw["parts"] if "lacking" in raw else raw
        whole = all(Stamp.of(note.parents[1] / name) == Stamp(*stamp) for name, stamp in parts.items())
        return lacking if whole and lacking.still(root) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_note(note: Path, stores: Iterable[RecordStore], groups: Iterable[str], lacking: Lacking = NOTHING) -> None:
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
    write_bytes(note, json.dumps({"parts": parts, "lacking": asdict(lacking)}).encode())
