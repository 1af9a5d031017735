"""A lock between processes, on one machine or on a shared file system: dies with its holder, leaves no file behind."""

from __future__ import annotations

import errno
import fcntl
import math
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wotempo.errors import UserError

LOOK_S = (0.01, 0.5)  # between looks at a lock that another process holds: at first, and later
TELL_EVERY_S = 300.0
NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def locked(path: Path, what: str, wait: bool = False) -> Iterator[None]:
    """Hold the lock file ``path`` for the block. ``what`` names what it guards.

    wait: wait for another holder; otherwise raises UserError that names it. The kernel frees the lock of a killed
    process; its file is used again. A file server may keep that of a node that died: who deletes the file frees it.
    Raises UserError where the file system has no locks.
    """
    descriptor = _acquire(path, what, wait)
    try:
        yield
    finally:
        if _still_named(descriptor, path):  # else a user freed it, and the file is another holder's
            path.unlink(missing_ok=True)  # while it is still held: a process that waits for it sees that it is gone
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process, here or (where the file system says so) elsewhere, holds the lock file ``path``."""
    for mode, kind in ((os.O_RDWR, fcntl.LOCK_EX), (os.O_RDONLY, fcntl.LOCK_SH)):  # the second: of another user's run
        try:
            descriptor = os.open(path, mode)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in NOT_OURS:
                raise
            continue
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # no locks here: ``locked`` refused the holder
            return False
        finally:
            os.close(descriptor)
        return False
    return False


def _acquire(path: Path, what: str, wait: bool) -> int:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UserError(
                f"{what} cannot be written ({error.strerror}: {path}): change the rights, free space, or name a place "
                "of your own (run_dir=…, workspace=…, data.cache=…)"
            ) from error
        try:
            _flock(descriptor, path, what, wait)
        except BlockingIOError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise UserError(f"{what} is being written by {holder}; wait for it, or name another folder") from error
        except OSError as error:
            os.close(descriptor)
            raise UserError(
                f"{path}: the file system has no locks ({error.strerror}); mount it with flock, or write elsewhere"
            ) from error
        except BaseException:  # told to stop while it waited
            os.close(descriptor)
            raise
        if _still_named(descriptor, path):
            with suppress(OSError):  # on a full disk the holder has no name, and is told of the disk when it writes
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            return descriptor
        os.close(descriptor)  # its holder removed it meanwhile


def _flock(descriptor: int, path: Path, what: str, wait: bool) -> None:
    """Returns once it is held, or its file is gone. BlockingIOError where another process holds it and is not waited
    for."""
    began, told = time.monotonic(), -math.inf
    pause, longest = LOOK_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise
        if (waited := time.monotonic() - began) - told >= TELL_EVERY_S:
            since = f" for {waited / 60:.0f} minutes" if told >= 0 else ""
            dead = f"; if that process or its node is dead: rm {path}" if told >= 0 else ""
            print(f"waiting{since}: {what} is being written by {_holder(descriptor)}{dead}", flush=True)
            told = waited
        time.sleep(pause)
        pause = min(2 * pause, longest)
        if not _still_named(descriptor, path):
            return None


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"


def _still_named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
