"""Refusals of the operating system (a full disk, a quota, a missing right, …), each as one sentence with the way out.

Libraries wrap the system's error or drop it: torch turns a full disk into a RuntimeError, pyarrow keeps the words only.
It is looked for along the whole chain of an exception and in the words; where a file was being written, the file
system itself is asked.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wotempo.errors import UserError

AGAIN = "free space and start it again"
FILES = "raise the limit (ulimit -n 65536) or use fewer processes (trainer.num_workers, data.prepare_workers)"
MEMORY = "use smaller batches or fewer processes (trainer.num_workers, data.prepare_workers), or ask for more memory"

# Limits of the machine. Whatever else happens meanwhile is their consequence.
LIMITS: dict[int, str] = {
    errno.ENOSPC: f"the disk is full ({{}}): {AGAIN}",
    errno.EDQUOT: f"the disk quota is used up ({{}}): {AGAIN}",
    errno.EFBIG: "a file grew larger than the file system or ulimit -f allows ({}): raise the limit or write elsewhere",
    errno.EROFS: "the file system is read-only ({}): write elsewhere (run_dir=…, workspace=…, data.cache=…)",
    errno.EMFILE: f"too many files are open ({{}}): {FILES}",
    errno.ENFILE: f"too many files are open on this machine ({{}}): {FILES}",
    errno.ENOMEM: f"the memory is used up ({{}}): {MEMORY}",
    errno.EAGAIN: f"no further process or thread may be started ({{}}): raise ulimit -u, or {MEMORY.split(', or')[0]}",
    errno.EIO: "the disk answers with an error ({}): look after it, or write elsewhere (run_dir=…, workspace=…)",
    errno.ESTALE: "the network file system lost a file ({}): mount it again and start it again",
}
# Paths that a user can mend; programs meet them on purpose, too, so only the error itself and its causes count.
PATHS: dict[int, str] = {
    errno.EACCES: "permission is denied ({}): change the rights, or name another place",
    errno.EPERM: "the operation is not permitted ({}): change the rights, or name another place",
    errno.ENAMETOOLONG: "a name is too long ({}): choose a shorter one",
    errno.ENOENT: "a file or folder is not there ({}): put it back, or name another one",
    errno.ENOTDIR: "a file is where a folder should be ({}): remove it, or name another place",
    errno.EISDIR: "a folder is where a file should be ({}): remove it, or name another file",
    errno.EEXIST: "something is there already ({}): remove it, or name another place",
    errno.ENOTEMPTY: "a folder is not empty ({}): remove it, or name another place",
    errno.ELOOP: "symbolic links go round in a circle ({}): remove them, or name another place",
}
BY_NAME = {"MemoryError": errno.ENOMEM, "OutOfMemoryError": errno.ENOMEM, "TerminatedWorkerError": errno.ENOMEM}
PROBE_BYTES = 1_000_000


def refusal(error: BaseException) -> str | None:
    """What the system refused, in one sentence; None where no such cause is known of ``error``."""
    return limit_reached(error) or next((text for link in _chain(error) if (text := _path_refused(*link))), None)


def limit_reached(error: BaseException) -> str | None:
    """The limit of the machine that ``error`` comes of, in one sentence: what met it can go on once it is lifted."""
    text = next((text for link, _ in _chain(error) if (text := _limit(link))), None)
    return str(error) if text is not None and isinstance(error, UserError) else text


@contextmanager
def writing(path: Path, partial: Path) -> Iterator[None]:
    """The block writes ``partial``, a file or a folder that is to become ``path``. Raises UserError with the reason
    where the system refuses it, also where the library that writes hides the reason."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = refusal(error) or _asked(partial)
        if reason is not None:
            raise UserError(reason.replace("(", f"({path}: cannot be written, ", 1)) from error
        if isinstance(error, OSError):
            raise UserError(f"{path}: cannot be written ({error}); check free space and rights there") from error
        raise


def _chain(error: BaseException) -> Iterator[tuple[BaseException, bool]]:
    """(error, whether it is the error itself or its declared cause), outermost first, each once."""
    seen: set[int] = set()
    left: list[tuple[BaseException, bool]] = [(error, True)]
    while left:
        current, direct = left.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current, direct
        left += [(inner, direct) for inner in getattr(current, "exceptions", ()) if isinstance(inner, BaseException)]
        if current.__cause__ is not None:
            left.append((current.__cause__, direct))
        if current.__context__ is not None:
            left.append((current.__context__, False))


def _limit(error: BaseException) -> str | None:
    number = getattr(error, "errno", None)
    if isinstance(error, OSError) and number in LIMITS:
        return LIMITS[number].format(_place(error))
    words = " ".join(str(error).split())
    number = next((known for known in LIMITS if os.strerror(known) in words), None)
    number = number or next((BY_NAME[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in BY_NAME), None)
    return None if number is None else LIMITS[number].format(words[:300])


def _path_refused(error: BaseException, direct: bool) -> str | None:
    if not direct or not isinstance(error, OSError) or error.errno not in PATHS:
        return None
    return PATHS[error.errno].format(_place(error))


def _place(error: OSError) -> str:
    named = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{error.strerror}: {' → '.join(named)}" if named else str(error.strerror or error)


def _asked(partial: Path) -> str | None:
    """Whether more can be written where ``partial`` is: None, or what the file system says."""
    file = partial / ".probe" if partial.is_dir() else partial
    try:
        with file.open("ab") as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return refusal(error)
    return None
