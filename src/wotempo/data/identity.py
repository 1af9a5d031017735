"""Keys of cached records: short hashes of what each was made from. A record is re-used while its key stays."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from wotempo.errors import UserError
from wotempo.navsim.files import state_of


def file_stamp(path: Path, name: str) -> list | None:
    """``name`` with the size and the modification time (ns) of a file, which change with its content; None where there
    is no file."""
    state = state_of(path)
    return None if state is None else [name, state.st_size, state.st_mtime_ns]


def state_in(path: Path) -> list[int] | None:
    """Of a file or folder: size, times of its content and of itself (an unpacked archive sets the first one back); None
    where there is none, or where it cannot be looked at."""
    try:
        state = state_of(path)
    except UserError:
        return None
    return None if state is None else [state.st_size, state.st_mtime_ns, state.st_ctime_ns]


def key_of(made_from: list) -> str:
    """16 hex digits that differ for other lists of plain values."""
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]
