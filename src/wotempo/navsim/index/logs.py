"""The index of a list of logs: made once, by one process, then opened by all. A log whose file changes is read again.

<folder>/logs-<version>/<split>/<log>.npz      of one log (digest)
                       /<hash>/rows.npy        of one list of logs, memory-mapped
                              /logs.json       their names, rows and states
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.arrays import map_array
from wotempo.navsim.dataset import Lack, size_in
from wotempo.navsim.files import Stamp, atomic_folder, may_write, state_of, sweep, write_bytes
from wotempo.navsim.index.columns import Columns, columns_of, row_dtype
from wotempo.navsim.index.digest import About, check_rows, make_digest, names_of, read_digest
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
    recheck: bool = False,
) -> list[StoredLog]:
    """The logs in ``files``, in their order, none of them held. Their index lies below ``folder``; what it lacks is
    read by ``workers`` processes, under a lock: other processes wait for it. An index that is whole is only read.
    Without ``keep``, or where nothing may be written, what it lacks is read here, at every start, and again where more
    of a log is needed. ``recheck``: compare the files' content, too, with what was read.

    UserError as of ``read_log``, for the first log that cannot be read; what was read before stays; and where files
    are missing or empty. Each is looked at once.
    """
    if not files:
        return []
    stamps = _stamps(files)
    place = folder / f"logs-{VERSION}"
    made_from = json.dumps([split, [(file.stem, *stamp) for file, stamp in zip(files, stamps, strict=True)]])
    whole = place / hashlib.sha256(made_from.encode()).hexdigest()[:16]
    report = progress or (lambda _done, _total: None)
    if (logs := _opened(whole, files, split, stamps)) is None and not (keep and may_write(place)):
        logs = list(_looked_at(place, files, split, stamps, report))
        if keep and (lacking := sum(not log.content for log in logs)):
            print(
                f"{place}: lacks {lacking} of {len(logs)} logs and may not be written: they are read at every start; "
                "set data.cache to a folder of yours",
                flush=True,
            )
    if logs is None:
        with locked(place / ".lock", f"the index of logs in {place}", wait=True):
            if (logs := _opened(whole, files, split, stamps)) is None:
                if whole.exists():
                    print(f"{whole}: was damaged: it is joined anew", flush=True)
                _join(whole, files, split, stamps, workers, report)
                logs = _opened(whole, files, split, stamps)
    if logs is None:
        raise UserError(f"{whole}: cannot be read back: delete {place} and start again, it is made anew")
    for log in logs if recheck else ():
        log.require_content()
    return logs


def _stamps(files: Sequence[Path]) -> list[Stamp]:
    states = {file: state_of(file) for file in files}
    folder = files[0].parent
    Lack.told(folder, {file: size_in(state) for file, state in states.items()}).refuse(folder, "log")
    return [Stamp.told(state) for state in states.values() if state is not None]


def index_readable(
    files: Sequence[Path],
    split: str,
    folder: Path,
    workers: int = 1,
    progress: Progress | None = None,
    keep: bool = True,
    recheck: bool = False,
) -> tuple[list[StoredLog], dict[str, str]]:
    """``index_logs`` of the files that can be read, and the reasons of the others, by name. Which these are is kept:
    the next start reads them again, and no other."""
    stamps = {file: Stamp.of(file) for file in files}
    state = json.dumps([split, [[file.stem, *stamp] for file, stamp in stamps.items()]])
    place = folder / f"logs-{VERSION}"
    hint = place / f"unread-{hashlib.sha256(state.encode()).hexdigest()[:16]}.json"
    suspects = _names_in(hint)
    if not suspects:
        try:
            return index_logs(files, split, folder, workers, progress, keep, recheck), {}
        except UserError as error:  # of the first such log, or of something else, which is raised again below
            if limit_reached(error) is not None:
                raise
        suspects = {f.stem for f in files if read_digest(place / split / f"{f.stem}.npz", stamps[f]) is None}
    tasks = [(file, place / split / f"{file.stem}.npz") for file in files if file.stem in suspects]
    few, kept = sum(stamps[file].size for file, _ in tasks) < FEW_BYTES, keep and may_write(place)
    with locked(place / ".lock", f"the index of logs in {place}", wait=True) if kept else nullcontext():
        found = over_processes(partial(_unreadable, split, kept), tasks, 1 if few else workers, (__name__,))
        unread = {file.stem: why for (file, _), why in found if why}
        if kept and unread:
            write_bytes(hint, json.dumps(sorted(unread)).encode())
    rest = [file for file in files if file.stem not in unread]
    return index_logs(rest, split, folder, workers, progress, keep, recheck), unread


def _names_in(hint: Path) -> set[str]:
    try:
        return set(parse_json(hint.read_bytes()))
    except (OSError, ValueError, TypeError):
        return set()


def _unreadable(split: str, keep: bool, task: tuple[Path, Path]) -> str:
    """Why a log cannot be read; '' where it can, and then its digest is kept."""
    file, out = task
    try:
        if keep:
            make_digest(file, split, out)
        else:
            read_log(file, split)
    except UserError as error:
        if limit_reached(error) is not None:
            raise
        return str(error)
    return ""


def _opened(whole: Path, files: Sequence[Path], split: str, stamps: Sequence[Stamp]) -> list[StoredLog] | None:
    """None where the index is not there, or damaged."""
    try:
        raw = parse_json((whole / "logs.json").read_bytes())
        rows = map_array(whole / "rows.npy").view(np.ndarray)
        if "crc32" in raw and raw["crc32"] != _checksum(rows, raw["frames"], raw["logs"]):  # older ones have none
            raise ValueError("damaged")
        logs, end = list[StoredLog](), 0
        for file, stamp, count, of_log in zip(files, stamps, raw["frames"], raw["logs"], strict=True):
            about = About.from_plain(of_log)
            begin, end = end, end + count
            columns = Columns(rows[begin:end], about.places, about.defects)
            if (about.name, about.stamp, len(columns.rows)) != (file.stem, stamp, count):
                raise ValueError("of other logs")
            check_rows(columns)
            digest = whole.parent / split / f"{file.stem}.npz"
            names = partial(_file_names, digest, file, split, stamp, about.content)
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
        stored = place / split / f"{file.stem}.npz"
        if (digest := read_digest(stored, stamp)) is None:
            read = read_log(file, split)
            yield StoredLog(file, split, stamp, columns_of(read), read.unknown_velocities)
        else:
            about = digest.about
            columns = Columns(digest.rows, about.places, about.defects)
            names = partial(_file_names, stored, file, split, stamp, about.content)
            yield StoredLog(file, split, stamp, columns, about.unknown_velocities, about.content, names)
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
    frames, logs = [len(rows) for _, rows in kept], [about.plain for about, _ in kept]
    content = {"crc32": _checksum(table, frames, logs), "frames": frames, "logs": logs}
    with atomic_folder(whole) as temporary:
        np.save(temporary / "rows.npy", table, allow_pickle=False)
        (temporary / "logs.json").write_text(json.dumps(content))


def _checksum(rows: np.ndarray, frames: list[int], logs: list[dict[str, Any]]) -> int:
    """Of all that the index of a list of logs holds."""
    return zlib.crc32(json.dumps([frames, logs]).encode(), zlib.crc32(rows.view(np.uint8).data))


@lru_cache(HELD)
def _file_names(path: Path, log: Path, split: str, stamp: Stamp, content: str) -> np.ndarray:
    if (digest := read_digest(path, stamp)) is not None:
        return digest.files
    return names_of(StoredLog(log, split, stamp, content=content).whole)  # the digest is of a file that was here since


def _without_names(path: Path, stamp: Stamp) -> tuple[About, np.ndarray] | None:
    """What of a digest goes into the table; the names of sensor files would fill the memory."""
    digest = read_digest(path, stamp)
    return None if digest is None else (digest.about, digest.rows)


def _digest(split: str, task: tuple[Path, Path]) -> None:
    log, out = task
    make_digest(log, split, out)
