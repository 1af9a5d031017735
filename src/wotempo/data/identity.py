"""Keys of cached records: short hashes of what each was made from. A record is re-used while its key stays."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def file_stamp(path: Path, name: str) -> list | None:
    """``name`` with the size and the modification time (ns) of a file, which change with its content; None where there
    is no file."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return [name, state.st_size, state.st_mtime_ns]


def key_of(made_from: list) -> str:
    """16 hex digits that differ for other lists of plain values."""
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]
