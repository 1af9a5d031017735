"""Reading whole files and writing them so that a half-written one never bears the final name."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wotempo.errors import UserError
from wotempo.system_errors import limit_reached, writing


class Stamp(NamedTuple):
    """State of a file when its content was last known."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        return cls.told(path.stat())

    @classmethod
    def told(cls, state: os.stat_result) -> Stamp:
        """``of`` a file that was looked at already."""
        return cls(state.st_size, state.st_mtime_ns)


def state_of(path: Path) -> os.stat_result | None:
    """None where there is no such file or folder. UserError where its folder does not let itself be looked at."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if limit_reached(error) is not None:
            raise
        why = error.strerror or error
        raise UserError(f"{path}: cannot be looked at ({why}): check the rights and the links of its folder") from error


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_path(path: Path, suffix: str = ".tmp") -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends well, else remove it.

    ``suffix`` ends the temporary name, for writers that look at it. Creates the parent folder.
    Raises UserError when the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{suffix}")
    try:
        with writing(path, temporary):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # the folder may be no folder: the error above says so
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """As ``atomic_path`` for a folder with its files; a folder that is there already is replaced."""
    temporary, old = (path.with_name(f".{path.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    try:
        with writing(path, temporary):
            temporary.mkdir(parents=True)
            yield temporary
            if path.exists():
                os.replace(path, old)
            os.replace(temporary, path)
    finally:
        if old.exists() and not path.exists():
            os.replace(old, path)
        for leftover in (temporary, old):
            shutil.rmtree(leftover, ignore_errors=True)


def may_write(folder: Path) -> bool:
    """Whether this process may make files in a folder, or make the folder; not so in one of another user."""
    existing = next((place for place in (folder, *folder.absolute().parents) if place.exists()), folder)
    return os.access(existing, os.W_OK)


def sweep(folder: Path) -> None:
    """Remove what writers left in a folder that were killed before their file, or folder, took its name. Only for a
    process that holds the folder: what another one writes there meanwhile would go, too."""
    for leftover in [*folder.glob(".*.tmp"), *folder.glob(".*.old")]:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write atomically. Raises UserError when the disk is full or the folder cannot be written."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def array_bytes(array: np.ndarray) -> bytes:
    """A ``.npy`` file's content; numpy's own writing to a full disk hides the reason."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def archive_bytes(**arrays: Any) -> bytes:
    """A compressed ``.npz`` file's content."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises UserError when it is missing, unreadable or empty."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not data:
        raise UserError(f"{path}: is empty (0 bytes), most likely a broken download; fetch it again")
    return data
