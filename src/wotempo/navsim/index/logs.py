"""The index of a list of logs: made once, by one process, then opened by all. A log whose file changes is read again.

<folder>/logs-<version>/<split>/<log>.npz      of one log (digest)
                       /<hash>/rows.npy        of one list of logs, memory-mapped
                              /logs.json       their names, rows and states
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.arrays import map_array
from wotempo.navsim.files import Stamp, atomic_folder, sweep
from wotempo.navsim.index.columns import Columns, columns_of, row_dtype
from wotempo.navsim.index.digest import About, check_rows, make_digest, read_digest
from wotempo.navsim.index.stored import HELD, StoredLog
from wotempo.navsim.lock import locked
from wotempo.navsim.logs import read_log
from wotempo.navsim.text_files import parse_json
from wotempo.processes import over_processes
from wotempo.system_errors import limit_reached

VERSION = 1  # of the columns, and of what ``read_log`` makes of a file
FEW_BYTES = 1 << 26  # of logs: read here sooner than by processes that must start first

Progress = Callable[[int, int], None]  # logs done, logs in all


def index_logs(
    files: Sequence[Path],
    split: str,
    folder: Path,
    workers: int = 1,
    progress: Progress | None = None,
    keep: bool = True,
) -> list[StoredLog]:
    """The logs in ``files``, in their order, none of them held. Their index lies below ``folder``; what it lacks is
    read by ``workers`` processes, under a lock: other processes wait for it. An index that is whole is only read.
    Without ``keep`` nothing is written: what it lacks is read here, and again where more of a log is needed.

    UserError as of ``read_log``, for the first log that cannot be read; what was read before stays.
    """
    if not files:
        return []
    stamps = [Stamp.of(file) for file in files]
    place = folder / f"logs-{VERSION}"
    made_from = json.dumps([split, [(file.stem, *stamp) for file, stamp in zip(files, stamps, strict=True)]])
    whole = place / hashlib.sha256(made_from.encode()).hexdigest()[:16]
    if (logs := _opened(whole, files, split, stamps)) is None and not keep:
        return list(_looked_at(place, files, split, stamps, progress or (lambda _done, _total: None)))
    if logs is None:
        with locked(place / ".lock", f"the index of logs in {place}", wait=True):
            if (logs := _opened(whole, files, split, stamps)) is None:
                _join(whole, files, split, stamps, workers, progress or (lambda _done, _total: None))
                logs = _opened(whole, files, split, stamps)
    if logs is None:
        raise UserError(f"{whole}: cannot be read back: delete {place} and start again, it is made anew")
    return logs


def _opened(whole: Path, files: Sequence[Path], split: str, stamps: Sequence[Stamp]) -> list[StoredLog] | None:
    """None where the index is not there, or damaged."""
    try:
        raw = parse_json((whole / "logs.json").read_bytes())
        rows = map_array(whole / "rows.npy").view(np.ndarray)
        logs, end = list[StoredLog](), 0
        for file, stamp, count, of_log in zip(files, stamps, raw["frames"], raw["logs"], strict=True):
            about = About.from_plain(of_log)
            begin, end = end, end + count
            columns = Columns(rows[begin:end], about.places, about.defects)
            if (about.name, about.stamp, len(columns.rows)) != (file.stem, stamp, count):
                raise ValueError("of other logs")
            check_rows(columns)
            names = partial(_file_names, whole.parent / split / f"{file.stem}.npz", file, stamp)
            logs.append(StoredLog(file, split, stamp, columns, about.unknown_velocities, about.content, names))
        if end != len(rows):
            raise ValueError("of other logs")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if (limit := limit_reached(error)) is not None:
            raise UserError(f"the index of logs in {whole} cannot be read: {limit}") from error
        return None
    return logs


def _looked_at(
    place: Path, files: Sequence[Path], split: str, stamps: Sequence[Stamp], progress: Progress
) -> Iterator[StoredLog]:
    for done, (file, stamp) in enumerate(zip(files, stamps, strict=True), 1):
        if (digest := read_digest(place / split / f"{file.stem}.npz", stamp)) is None:
            read = read_log(file, split)
            yield StoredLog(file, split, stamp, columns_of(read), read.unknown_velocities)
        else:
            about = digest.about
            columns = Columns(digest.rows, about.places, about.defects)
            yield StoredLog(file, split, stamp, columns, about.unknown_velocities, about.content)
        progress(done, len(files))


def _join(
    whole: Path, files: Sequence[Path], split: str, stamps: Sequence[Stamp], workers: int, progress: Progress
) -> None:
    """Read the logs that have no digest yet, then write the digests of all as one table."""
    for folder in (whole.parent, whole.parent / split):
        sweep(folder)
    digests = [whole.parent / split / f"{file.stem}.npz" for file in files]
    found = [_without_names(digest, stamp) for digest, stamp in zip(digests, stamps, strict=True)]
    missing = [place for place, of_log in enumerate(found) if of_log is None]
    done = len(files) - len(missing)
    if missing:
        progress(done, len(files))
    few = sum(stamps[place].size for place in missing) < FEW_BYTES
    tasks = [(files[place], digests[place]) for place in missing]
    for _ in over_processes(partial(_digest, split), tasks, 1 if few else workers, (__name__,)):
        done += 1
        progress(done, len(files))
    for place in missing:
        found[place] = _without_names(digests[place], stamps[place])
        if found[place] is None:
            raise UserError(f"{files[place]}: was changed while it was read: start the command again")
    kept = [of_log for of_log in found if of_log is not None]
    width = max(rows.dtype["token"].itemsize for _, rows in kept)
    table = np.concatenate([rows.astype(row_dtype(width)) for _, rows in kept])
    content = {"frames": [len(rows) for _, rows in kept], "logs": [about.plain for about, _ in kept]}
    with atomic_folder(whole) as temporary:
        np.save(temporary / "rows.npy", table, allow_pickle=False)
        (temporary / "logs.json").write_text(json.dumps(content))


@lru_cache(HELD)
def _file_names(path: Path, log: Path, stamp: Stamp) -> np.ndarray:
    if (digest := read_digest(path, stamp)) is None:
        raise UserError(f"{path}: is no longer what was read from {log}: start the command again")
    return digest.files


def _without_names(path: Path, stamp: Stamp) -> tuple[About, np.ndarray] | None:
    """What of a digest goes into the table; the names of sensor files would fill the memory."""
    digest = read_digest(path, stamp)
    return None if digest is None else (digest.about, digest.rows)


def _digest(split: str, task: tuple[Path, Path]) -> None:
    log, out = task
    make_digest(log, split, out)
