"""Notes beside the verdict in which each rank but the first writes why it failed.

A rank that crashes alone cannot reach the others: they are inside a collective, which breaks when its process ends
(gloo), or does not return until a launcher ends them with SIGTERM (NCCL). The note is written before either happens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def note_of(directory: Path, rank: int) -> Path:
    return directory / f"verdict.rank{rank}.json"


def first_of_others(directory: Path, world_size: int) -> tuple[int, dict[str, Any]] | None:
    """(rank, note) of the rank other than 0 that failed first: later ones may fail because of it."""
    files = [(rank, note_of(directory, rank)) for rank in range(1, world_size)]
    found = [(file.stat().st_mtime_ns, rank, file) for rank, file in files if file.exists()]
    if not found:
        return None
    _, rank, file = min(found)
    return rank, json.loads(file.read_text())
