"""The columns of one log in a file, beside the state of the log's file that they were read from."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wotempo.navsim.arrays import read_arrays
from wotempo.navsim.files import Stamp, sha256_of, write_bytes
from wotempo.navsim.index.columns import Columns, columns_of, row_dtype
from wotempo.navsim.logs import read_log
from wotempo.navsim.schema import STITCHED_CAMERAS, Defect, Log
from wotempo.navsim.text_files import parse_json
from wotempo.system_errors import limit_reached


@dataclass(frozen=True)
class About:
    """What a log has beside its rows. ``content``: sha256 of its file."""

    name: str
    stamp: Stamp
    content: str
    places: tuple[str, ...]
    defects: tuple[Defect, ...]
    unknown_velocities: int

    @classmethod
    def from_plain(cls, raw: dict[str, Any]) -> About:
        """From what ``plain`` returned. KeyError, TypeError or ValueError for anything else."""
        size, mtime_ns = map(int, raw["stamp"])
        return cls(
            str(raw["name"]),
            Stamp(size, mtime_ns),
            str(raw["content"]),
            tuple(map(str, raw["places"])),
            tuple(Defect(str(cause), str(where)) for cause, where in raw["defects"]),
            int(raw["unknown_velocities"]),
        )

    @property
    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Digest:
    about: About
    rows: np.ndarray  # (F,) of ``row_dtype``
    files: np.ndarray  # ``names_of``


def make_digest(log: Path, split: str, out: Path) -> Digest:
    """Read a log and write its digest to ``out``. UserError as of ``read_log``."""
    stamp = Stamp.of(log)
    read = read_log(log, split)
    columns = columns_of(read)
    about = About(log.stem, stamp, sha256_of(log), columns.places, columns.defects, read.unknown_velocities)
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(about.plain).encode(), np.uint8)
    files = names_of(read)
    np.savez_compressed(buffer, rows=columns.rows, files=files, about=text)
    write_bytes(out, buffer.getvalue())
    return Digest(about, columns.rows, files)


def names_of(log: Log) -> np.ndarray:
    """(F, 4) bytes: ``Frame.sensor_files``."""
    return np.array([[name.encode() for name in frame.sensor_files] for frame in log.frames])


def read_digest(path: Path, stamp: Stamp) -> Digest | None:
    """None where there is none of a log in this state, or its file was damaged: it is made anew."""
    try:
        saved = read_arrays(path)
        about = About.from_plain(parse_json(saved["about"].tobytes()))
        digest = Digest(about, saved["rows"], saved["files"])
        if digest.files.dtype.kind != "S" or digest.files.shape != (len(digest.rows), len(STITCHED_CAMERAS) + 1):
            raise ValueError("not names of files")
        check_rows(Columns(digest.rows, about.places, about.defects))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if limit_reached(error) is not None:
            raise
        return None
    return digest if about.stamp == stamp else None


def check_rows(columns: Columns) -> None:
    """ValueError where the rows are not what ``columns_of`` makes."""
    rows = columns.rows
    if rows.ndim != 1 or not len(rows) or rows.dtype.names is None or "token" not in rows.dtype.names:
        raise ValueError("not rows of frames")
    if rows.dtype != row_dtype(rows.dtype["token"].itemsize):
        raise ValueError(f"rows of {rows.dtype}")
    if not (rows["place"].min() >= 0 and rows["place"].max() < len(columns.places)):
        raise ValueError("places that have no name")
    if not (rows["defect"].min() >= -1 and rows["defect"].max() < len(columns.defects)):
        raise ValueError("defects that are not listed")
