"""Notes beside the verdict in which each rank but the first writes why it failed.

A rank that crashes alone cannot reach the others: they are inside a collective, which breaks when its process ends
(gloo), or does not return until a launcher ends them with SIGTERM (NCCL). The note is written before either happens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PARTS = ("status", "exit_code", "reason", "failure")


def note_of(directory: Path, rank: int) -> Path:
    return directory / f"verdict.rank{rank}.json"


def first_of_others(directory: Path, world_size: int) -> tuple[int, dict[str, Any]] | None:
    """(rank, note) of the rank other than 0 that failed first: later ones may fail because of it. A note that cannot be
    read, because its rank was killed meanwhile or the disk is full, is passed over."""
    files = [(rank, note_of(directory, rank)) for rank in range(1, world_size)]
    found = sorted((file.stat().st_mtime_ns, rank, file) for rank, file in files if file.is_file())
    notes = ((rank, _read(file)) for _, rank, file in found)
    return next(((rank, note) for rank, note in notes if note is not None), None)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        note = json.loads(file.read_text(encoding="utf-8"))
        status, code, reason, failure = (note[name] for name in PARTS)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    named = failure is None or (isinstance(failure, list) and len(failure) == 2)
    whole = isinstance(status, str) and type(code) is int and isinstance(reason, str) and named
    return note if whole else None
