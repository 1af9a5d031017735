"""A lock between processes, on one machine or on a shared file system: dies with its holder, leaves no file behind."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wotempo.errors import UserError


@contextmanager
def locked(path: Path, what: str, wait: bool = False) -> Iterator[None]:
    """Hold the lock file ``path`` for the block. ``what`` names what it guards.

    wait: wait for another holder; otherwise raises UserError that names it. The kernel frees the lock of a killed
    process; its file is used again. Raises UserError where the file system has no locks.
    """
    descriptor = _acquire(path, what, wait)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is still held: a process that waits for it sees that it is gone
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process, here or (where the file system says so) elsewhere, holds the lock file ``path``."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _acquire(path: Path, what: str, wait: bool) -> int:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror}); check permissions of the folder") from error
        try:
            _flock(descriptor, what, wait)
        except BlockingIOError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise UserError(f"{what} is being written by {holder}; wait for it, or name another folder") from error
        except OSError as error:
            os.close(descriptor)
            raise UserError(
                f"{path}: the file system has no locks ({error.strerror}); mount it with flock, or write elsewhere"
            ) from error
        if _still_named(descriptor, path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            return descriptor
        os.close(descriptor)  # its holder removed it meanwhile


def _flock(descriptor: int, what: str, wait: bool) -> None:
    """BlockingIOError where another process holds it and is not waited for."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            raise
        print(f"waiting: {what} is being written by {_holder(descriptor)}", flush=True)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"


def _still_named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
