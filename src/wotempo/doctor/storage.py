"""Disk: room and inodes for what the run will write, and whether a file can be written at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wotempo.data.disk_room import ELSEWHERE, existing, lacking_room, size_text
from wotempo.doctor.finding import Finding
from wotempo.preparation.limits import ANOTHER_FOLDER, CheckpointRoom, lacking_checkpoints

SPARE_BYTES = 3e9  # checkpoints of the full-size model, logs
PROBE_BYTES = 1_000_000


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


def check_checkpoints(room: CheckpointRoom, run_dir: Path) -> Finding:
    """What a start of the run in this folder would refuse, and what may come on top."""
    name = "checkpoints"
    if (reason := lacking_checkpoints(room, run_dir)) is not None:
        return Finding(name, "fail", reason, ANOTHER_FOLDER)
    where = existing(run_dir)
    found = f"{size_text(room.size)} each, up to {size_text(room.most)} in {where}"
    if lacking_room(name, run_dir, room.most, 0) is not None:
        return Finding(name, "warn", f"{found}, which has not so much left", ANOTHER_FOLDER)
    return Finding(name, "ok", found)
