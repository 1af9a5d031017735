"""Disk: room and inodes for what the run will write, and whether a file can be written at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wotempo.doctor.finding import Finding

SPARE_BYTES = 3e9  # checkpoints of the full-size model, logs
PROBE_BYTES = 1_000_000
ELSEWHERE = "workspace=<folder on another disk> or data.cache=<folder>, or free some space"


def existing(path: Path) -> Path:
    """The folder itself, or the nearest one above that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def check_disk(
    name: str, folder: Path, needed_bytes: float, needed_files: int, statvfs: Callable[[Path], Any] = os.statvfs
) -> Finding:
    """A quota shows here where the file system reports it as its size, and where it is used up already."""
    where = existing(folder)
    try:
        with tempfile.TemporaryFile(dir=where) as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Finding(name, "fail", f"{where}: a file cannot be written ({error.strerror})", ELSEWHERE)
    state = statvfs(where)
    free = state.f_bavail * state.f_frsize
    found = f"{free / 1e9:.1f} GB free in {where}, {needed_bytes / 1e9:.2f} GB in {needed_files} files still to write"
    if free < needed_bytes:
        return Finding(name, "fail", found, ELSEWHERE)
    if state.f_files and state.f_favail < needed_files:  # 0 where the file system does not count them
        return Finding(name, "fail", f"{found}; {state.f_favail} inodes left", ELSEWHERE)
    if free < needed_bytes + SPARE_BYTES:
        return Finding(name, "warn", f"{found}; checkpoints come on top", ELSEWHERE)
    return Finding(name, "ok", found)
