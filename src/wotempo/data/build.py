"""Filling a RecordStore: what is good stays, the rest is computed by several processes and committed as it comes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np

from wotempo.data.disk_room import ELSEWHERE, require_disk
from wotempo.data.store import Entry, RecordStore
from wotempo.errors import UserError
from wotempo.navsim.per_scene import attempted

# Records of one part: ~50 MB of full-size frames, so that an interrupted build loses little.
PART_RECORDS = 64

Written = tuple[dict[str, Entry], dict[str, str]]  # entries of a part, and why others have none
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True)
class Task:
    """One record to be: ``source`` is what ``compute`` needs, picklable."""

    group: str
    token: str
    key: str
    source: Any


@dataclass(frozen=True)
class BuildReport:
    """How many records were computed, and how many were there before. ``failed``: why some could not be made, by group
    and token, where that is no error."""

    built: int
    reused: int
    failed: Mapping[tuple[str, str], str] = field(default_factory=dict)


def _parts(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    by_group: dict[str, list[Task]] = {}
    for task in tasks:
        by_group.setdefault(task.group, []).append(task)
    for members in by_group.values():
        for start in range(0, len(members), PART_RECORDS):
            yield members[start : start + PART_RECORDS]


def _write(store: RecordStore, part: list[Task], compute: Callable[[Any], np.ndarray], skip: bool) -> Written:
    if not skip:
        keys = {task.token: task.key for task in part}
        return store.write_part(part[0].group, keys, (compute(task.source) for task in part)), {}
    tried = [(task, *attempted(partial(compute, task.source))) for task in part]
    keys = {task.token: task.key for task, record, _ in tried if record is not None}
    failed = {task.token: why for task, record, why in tried if record is None}
    made = (record for _, record, _ in tried if record is not None)
    return (store.write_part(part[0].group, keys, made) if keys else {}), failed


def _require_room(store: RecordStore, good: Mapping[str, set[str]], todo: Sequence[Task], parts: int) -> None:
    """UserError where the records certainly do not fit. Parts without good records may be written over."""
    groups = {task.group for task in todo}
    here = sum(file.stat().st_size for group in groups for file in (store.root / group).glob("part-*.npy"))
    kept = sum(len(good[group]) for group in groups)
    size = (len(todo) + kept) * store.dtype.itemsize - here
    require_disk(
        f"the {len(todo)} {store.kind} still to be made", store.root, size, parts if not here else 0, ELSEWHERE
    )


def _start_worker() -> None:
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; a part ends, and the parent goes


def build_records(
    store: RecordStore,
    tasks: Sequence[Task],
    compute: Callable[[Any], np.ndarray],
    workers: int = 1,
    progress: Progress | None = None,
    skip: bool = False,
) -> BuildReport:
    """Make every record of ``tasks`` present and good.

    ``compute`` turns a task's source into a record; with ``workers`` > 1 it must be importable by name. Its first error
    stops the build and is raised here; parts finished before stay. With ``skip`` a record that cannot be made is left
    out and reported. ``progress`` hears of every finished part.
    """
    unique = {(task.group, task.token): task for task in tasks}
    wanted: dict[str, dict[str, str]] = {}
    for task in unique.values():
        wanted.setdefault(task.group, {})[task.token] = task.key
    good = {group: store.usable(group, keys) for group, keys in wanted.items()}
    todo = [task for task in unique.values() if task.token not in good[task.group]]
    failed: dict[tuple[str, str], str] = {}
    report = BuildReport(built=len(todo), reused=len(unique) - len(todo), failed=failed)
    done = 0

    def finished(part: list[Task], written: Written) -> None:
        nonlocal done
        entries, reasons = written
        store.commit(part[0].group, entries)
        failed.update({(part[0].group, token): why for token, why in reasons.items()})
        done += len(part)
        if progress is not None:
            progress(store.kind, done, len(todo))

    parts = list(_parts(todo))
    if todo and not skip:  # how many of those that may be left out there are is found out by making them
        _require_room(store, good, todo, len(parts))
    if min(workers, len(parts)) <= 1:
        for part in parts:
            finished(part, _write(store, part, compute, skip))
        return report
    # forkserver: the caller may hold threads or a GPU, which a fork would not survive.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([compute.__module__])
    with ProcessPoolExecutor(min(workers, len(parts)), context, _start_worker) as pool:
        running: dict[Future, list[Task]] = {pool.submit(_write, store, part, compute, skip): part for part in parts}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    finished(running.pop(future), future.result())
        except BrokenProcessPool:
            raise UserError(f"{store.root}: a worker process died, most likely for memory; use fewer workers") from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return report
