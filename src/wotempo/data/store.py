"""Fixed-size records on disk: memory-mapped parts per log, an index that is replaced atomically, a checksum per record.

    <root>/<kind>-<parameter hash>/<split>/<log>/index.json
                                               /part-<hash>.npy     (rows,) of one structured dtype

Parts are written once and never changed: a build that needs more records adds a part, so readers of an older index stay
right. The index names each record's part, row, key (what it was made from) and CRC-32.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wotempo.data.reader import RecordReader, record_bytes
from wotempo.errors import UserError
from wotempo.navsim.arrays import map_array
from wotempo.navsim.files import Stamp, atomic_path, may_write, write_bytes
from wotempo.navsim.lock import locked
from wotempo.navsim.text_files import parse_json
from wotempo.system_errors import limit_reached

INDEX_VERSION = 1


class Ref(NamedTuple):
    """Where a record belongs: ``group`` is "<split>/<log>", ``token`` the frame's or scene's."""

    group: str
    token: str


@dataclass(frozen=True)
class Entry:
    part: str
    row: int
    key: str
    crc: int


@dataclass(frozen=True)
class GroupIndex:
    entries: dict[str, Entry]
    parts: dict[str, Stamp]


def _entry(part: str, row: int, key: str, crc: int) -> Entry:
    """Of an index. ValueError or TypeError for values that no build writes."""
    if "/" in part or "/" in key or not (0 <= row < 2**31 and 0 <= crc < 2**32):
        raise ValueError("not an entry")
    return Entry(part, int(row), key, int(crc))


def _require_no_limit(error: Exception) -> None:
    """A file that the machine cannot open now is not damaged: what lies in it is not to be made anew."""
    if (limit := limit_reached(error)) is not None:
        raise UserError(f"the caches cannot be read: {limit}") from error


class RecordStore:
    """Records of ``dtype`` whose parameters hash to ``content_hash``; other parameters live in another folder."""

    def __init__(self, root: Path, kind: str, content_hash: str, dtype: np.dtype) -> None:
        self.root = Path(root) / f"{kind}-{content_hash}"
        self.kind = kind
        self.dtype = dtype

    def index(self, group: str) -> GroupIndex:
        """The group's index; an absent or unreadable one is empty, which makes the next build write it anew."""
        path = self.root / group / "index.json"
        try:
            raw = parse_json(path.read_bytes())
            if type(raw["version"]) is int and raw["version"] > INDEX_VERSION:
                raise UserError(
                    f"{path}: was written by a later version of this program (format {raw['version']}, here "
                    f"{INDEX_VERSION}): use that version, or set data.cache to another folder"
                )
            if raw["version"] != INDEX_VERSION:
                return GroupIndex({}, {})
            return GroupIndex(
                {token: _entry(*fields) for token, fields in raw["entries"].items()},
                {name: Stamp(*fields) for name, fields in raw["parts"].items()},
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _require_no_limit(error)
            return GroupIndex({}, {})

    def usable(self, group: str, wanted: Mapping[str, str]) -> set[str]:
        """Which of the ``wanted`` tokens (token -> key) have a good record of exactly that key.

        A part whose file is as the index remembers it counts as good; a part that was touched is read and each record
        compared with its checksum.
        """
        index = self._checked(group)
        return {token for token, key in wanted.items() if token in index.entries and index.entries[token].key == key}

    def _checked(self, group: str) -> GroupIndex:
        """The index without records that are absent or damaged; what was found out is written back."""
        index = self.index(group)
        entries, stamps = dict(index.entries), dict(index.parts)
        for name in {entry.part for entry in index.entries.values()}:
            path = self.root / group / name
            stamp = Stamp.of(path) if path.is_file() else None
            if stamp is not None and stamp == index.parts.get(name):
                continue
            members = {token: entry for token, entry in index.entries.items() if entry.part == name}
            for token in members.keys() - self._matching(path, members):
                del entries[token]
            if stamp is not None:
                stamps[name] = stamp
        checked = GroupIndex(entries, stamps)
        if checked != index and may_write(self.root / group):
            with locked(self.root / group / ".lock", f"the cache {self.root / group}", wait=True):
                if self.index(group) == index:  # else another process committed meanwhile: it may find this out again
                    self._write_index(group, checked)
        return checked

    def _matching(self, path: Path, entries: Mapping[str, Entry]) -> set[str]:
        """Tokens whose record in the part ``path`` has the checksum of its entry."""
        try:
            part = map_array(path)
        except (OSError, ValueError) as error:  # gone, empty, truncated or not an array: none of its records is good
            _require_no_limit(error)
            return set()
        if part.dtype != self.dtype or part.ndim != 1 or not len(part):
            return set()
        raw = record_bytes(part)
        return {t for t, entry in entries.items() if entry.row < len(raw) and zlib.crc32(raw[entry.row]) == entry.crc}

    def write_part(self, group: str, keys: Mapping[str, str], records: Iterable[np.ndarray]) -> dict[str, Entry]:
        """Write one part: ``keys`` (token -> key) in the order of ``records``; returns its entries for ``commit``."""
        name = f"part-{hashlib.sha256(json.dumps(dict(keys)).encode()).hexdigest()[:12]}.npy"
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (len(keys),)}
        entries: dict[str, Entry] = {}
        # Written as a stream, not through a map: a full disk is then an error and not a killed process.
        with atomic_path(self.root / group / name) as temporary, temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for row, ((token, key), record) in enumerate(zip(keys.items(), records, strict=True)):
                raw = np.asarray(record, self.dtype).tobytes()
                file.write(raw)
                entries[token] = Entry(name, row, key, zlib.crc32(raw))
        return entries

    def commit(self, group: str, entries: Mapping[str, Entry]) -> None:
        """Add entries of finished parts to the group's index, in one atomic replacement, one process at a time."""
        stamps = {entry.part: Stamp.of(self.root / group / entry.part) for entry in entries.values()}
        with locked(self.root / group / ".lock", f"the cache {self.root / group}", wait=True):
            index = self.index(group)
            self._write_index(group, GroupIndex(index.entries | dict(entries), index.parts | stamps))

    def _write_index(self, group: str, index: GroupIndex) -> None:
        named = {entry.part for entry in index.entries.values()}
        content = {
            "version": INDEX_VERSION,
            "entries": {t: [e.part, e.row, e.key, e.crc] for t, e in sorted(index.entries.items())},
            "parts": {name: [s.size, s.mtime_ns] for name, s in sorted(index.parts.items()) if name in named},
        }
        write_bytes(self.root / group / "index.json", json.dumps(content).encode())

    def has(self, refs: Sequence[Ref]) -> np.ndarray:
        """(n,) bool: which records there are."""
        known = {group: self.index(group).entries for group in {ref.group for ref in refs}}
        return np.array([ref.token in known[ref.group] for ref in refs], bool)

    def reader(self, refs: Sequence[Ref]) -> RecordReader:
        """Access to the records of ``refs`` by their position; UserError with the count where records are absent."""
        indices = {group: self.index(group) for group in {ref.group for ref in refs}}
        missing = [ref for ref in refs if ref.token not in indices[ref.group].entries]
        if missing:
            raise UserError(
                f"the {self.kind} cache {self.root} lacks {len(missing)} of {len(refs)} records, first "
                f"{missing[0].token} of {missing[0].group}: delete it and run again, it is made anew"
            )
        entries = [indices[ref.group].entries[ref.token] for ref in refs]
        files = [str(Path(ref.group) / entry.part) for ref, entry in zip(refs, entries, strict=True)]
        names, part = np.unique(np.array(files, dtype=str), return_inverse=True)
        return RecordReader(
            root=self.root,
            dtype=self.dtype,
            files=[str(name) for name in names],
            part=part.astype(np.int32),
            row=np.array([entry.row for entry in entries], np.int32),
            crc=np.array([entry.crc for entry in entries], np.uint32),
        )
