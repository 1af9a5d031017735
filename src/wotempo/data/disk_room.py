"""Room on the file systems that a run writes to: bytes and files that are left there, against those that will come."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from wotempo.errors import UserError

ELSEWHERE = "workspace=<folder on another disk> or data.cache=<folder>, or free some space"


def existing(path: Path) -> Path:
    """The folder itself, or the nearest one above that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def size_text(size: float | None) -> str:
    """A number of bytes, for people; '?' where it is not known."""
    if size is None:
        return "?"
    return f"{size / 1e9:,.2f} GB" if size >= 1e7 else f"{size / 1e6:,.2f} MB"


def lacking_room(what: str, folder: Path, size: float, files: int, largest: float = 0) -> str | None:
    """A sentence where ``size`` bytes in so many files certainly do not fit below ``folder``, or the largest of them is
    more than a file may be; else None. A quota shows where the file system reports it as its own size."""
    where = existing(folder)
    state = os.statvfs(where)
    blocks = state.f_bfree if os.geteuid() == 0 else state.f_bavail  # root may use what is kept back
    if state.f_blocks and blocks * state.f_frsize < size:
        free = size_text(blocks * state.f_frsize)
        return f"{what} take at least {size_text(size)}, and {where} has {free} free"
    if state.f_files and state.f_favail < files:  # 0 where the file system does not count them
        return f"{what} are at least {files} files, and {where} has {state.f_favail} inodes left"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit != resource.RLIM_INFINITY and limit < largest:
        return f"{what} take {size_text(largest)} each, and a file may have {size_text(limit)} (ulimit -f)"
    return None


def require_disk(what: str, folder: Path, size: float, files: int, fix: str, largest: float = 0) -> None:
    """UserError where ``lacking_room`` finds something, with ``fix``."""
    if (reason := lacking_room(what, folder, size, files, largest)) is not None:
        raise UserError(f"{reason}: {fix}")
