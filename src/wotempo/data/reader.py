"""Reading records by position: compact arrays that travel cheaply to worker processes."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.arrays import map_array
from wotempo.system_errors import limit_reached

# Each open map holds a file descriptor; a training set has more logs than a process may open files.
OPEN_PARTS = 128


def record_bytes(part: np.ndarray) -> np.ndarray:
    """(rows,) of a structured dtype -> (rows, bytes per record) uint8 view."""
    return part.view(np.uint8).reshape(len(part), -1)


@dataclass
class RecordReader:
    """``read(i)`` gives the i-th record that was asked for. Maps are opened lazily, in each process its own."""

    root: Path
    dtype: np.dtype
    files: list[str]  # part files relative to root
    part: np.ndarray  # (n,) index into files
    row: np.ndarray  # (n,)
    crc: np.ndarray  # (n,)
    _open: OrderedDict[int, np.ndarray] = field(default_factory=OrderedDict, repr=False)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_open": OrderedDict()}

    def _map(self, part: int) -> np.ndarray:
        """(rows, bytes per record) uint8 view of a part."""
        if part in self._open:
            self._open.move_to_end(part)
            return self._open[part]
        path = self.root / self.files[part]
        try:
            mapped = map_array(path)
            if mapped.dtype != self.dtype or mapped.ndim != 1 or len(mapped) <= self.row[self.part == part].max():
                raise ValueError(f"it holds {mapped.shape} of {mapped.dtype}")
        except (OSError, ValueError) as error:
            if (limit := limit_reached(error)) is not None:
                raise UserError(f"{path}: {limit}") from error
            raise UserError(
                f"the cache file {path} cannot be read ({error}): delete {self.root} and run again, it is made anew"
            ) from None
        self._open[part] = record_bytes(mapped)
        if len(self._open) > OPEN_PARTS:
            self._open.popitem(last=False)
        return self._open[part]

    def read(self, i: int) -> np.ndarray:
        """The record as a read-only 0-d view of ``dtype`` into the mapped file; UserError when its checksum differs."""
        part, row = int(self.part[i]), int(self.row[i])
        raw = self._map(part)[row]
        if zlib.crc32(raw) != self.crc[i]:
            path = self.root / self.files[part]
            raise UserError(f"record {row} of {path} is damaged: delete {self.root} and run again")
        return raw.view(self.dtype)[0]
