"""Reading whole files and writing them so that a half-written one never bears the final name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wotempo.errors import UserError


@contextmanager
def atomic_path(path: Path, suffix: str = ".tmp") -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends well, else remove it.

    ``suffix`` ends the temporary name, for writers that look at it. Creates the parent folder.
    Raises UserError when the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); check free space and permissions of {path.parent}"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write atomically. Raises UserError when the disk is full or the folder cannot be written."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises UserError when it is missing, unreadable or empty."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not data:
        raise UserError(f"{path}: is empty (0 bytes), most likely a broken download; fetch it again")
    return data
