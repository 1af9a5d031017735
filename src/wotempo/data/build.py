"""Filling a RecordStore log by log: what is good stays, the rest is computed and committed as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from wotempo.data.disk_room import ELSEWHERE, require_disk
from wotempo.data.store import Entry, RecordStore
from wotempo.navsim.files import may_write, sweep
from wotempo.navsim.lock import locked
from wotempo.navsim.per_scene import attempted
from wotempo.processes import over_processes

# Of one part, ~100 MB of full-size frames: an interrupted build loses little, and a log of navtrain is one file.
PART_RECORDS = 128
PRELOAD = ("wotempo.data.frame_cache", "wotempo.data.target_cache")  # what workers share

Written = tuple[dict[str, Entry], dict[str, str]]  # entries of a part, and why others have none
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True)
class Task:
    """One record to be: ``source`` is what ``compute`` needs."""

    group: str
    token: str
    key: str
    source: Any


@dataclass(frozen=True)
class BuildReport:
    """How many records were computed, and how many were there before. ``failed``: why some could not be made, by group
    and token, where that is no error, and ``watched``: what changes when they can be made. ``absent``: files that are
    missing, the first of each record, where nothing was computed for that."""

    built: int = 0
    reused: int = 0
    failed: Mapping[tuple[str, str], str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    watched: frozenset[Path] = frozenset()

    @classmethod
    def of_all(cls, parts: Sequence[BuildReport]) -> BuildReport:
        """The sum."""
        return cls(
            sum(part.built for part in parts),
            sum(part.reused for part in parts),
            {place: why for part in parts for place, why in part.failed.items()},
            tuple(name for part in parts for name in part.absent),
            frozenset[Path]().union(*(part.watched for part in parts)),
        )


@dataclass(frozen=True)
class LogWork:
    """The items of one log that records are made of. It travels to a process: items hold no more than they need.
    ``windows`` (n, T): positions of the items that belong together, where items may fail (``lacking.fallen``)."""

    group: str
    items: Sequence[Any]
    windows: np.ndarray | None = None
    masked: bool = False  # a window may lack items before its last one
    look_only: bool = False  # something is missing elsewhere, and the count of all of it is still to be told


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


def build_records(
    store: RecordStore,
    tasks: Sequence[Task],
    compute: Callable[[Any], np.ndarray],
    progress: Progress | None = None,
    skip: bool = False,
) -> BuildReport:
    """Make every record of ``tasks`` present and good, in this process.

    ``compute`` turns a task's source into a record. Its first error stops the build; parts finished before stay. With
    ``skip`` a record that cannot be made is left out and reported. ``progress`` hears of every finished part.
    """
    unique = {(task.group, task.token): task for task in tasks}
    wanted: dict[str, dict[str, str]] = {}
    for task in unique.values():
        wanted.setdefault(task.group, {})[task.token] = task.key
    good = {group: store.usable(group, keys) for group, keys in wanted.items()}
    todo = [task for task in unique.values() if task.token not in good[task.group]]
    failed: dict[tuple[str, str], str] = {}
    done = 0
    for part in _parts(todo):
        entries, reasons = _write(store, part, compute, skip)
        store.commit(part[0].group, entries)
        failed.update({(part[0].group, token): why for token, why in reasons.items()})
        done += len(part)
        if progress is not None:
            progress(store.kind, done, len(todo))
    return BuildReport(len(todo), len(unique) - len(todo), failed)


def build_logs(
    store: RecordStore,
    build: Callable[[LogWork], BuildReport],
    works: Iterable[LogWork],
    total: int,
    workers: int = 1,
    progress: Progress | None = None,
    certain: bool = True,
) -> BuildReport:
    """``build`` the records of each log in ``store``, several logs at a time, in ``workers`` processes; ``total``: the
    items of all of them. Other processes that want to build records of the same log wait.

    ``build`` must be picklable for more than one worker, and commits what it makes. Its first error stops the rest and
    is raised here. UserError where the records certainly do not fit on the disk (``certain``: all are to be made).
    Once a log lacks files, the others are only looked at. ``progress`` hears of every log of which something was made.
    """
    if certain:
        _require_room(store, total)
    reports, done, told = list[BuildReport](), 0, 0
    handed = (replace(work, look_only=any(of.absent for of in reports)) for work in works)
    work_on = partial(_alone, store, build)
    with closing(over_processes(work_on, handed, workers, PRELOAD, _one_thread)) as finished:
        for work, of_log in finished:
            reports.append(of_log)
            done += len(work.items)
            if progress is not None and of_log.built:
                if not told:  # what was there before is none of this work
                    progress(store.kind, done - of_log.built, total)
                told = done
                progress(store.kind, done, total)
    report = BuildReport.of_all(reports)
    if progress is not None and report.built and told < total:
        progress(store.kind, total, total)
    return report


def _require_room(store: RecordStore, total: int) -> None:
    """UserError where the disk has no room for what is lacking of so many records, at least."""
    present = sum(file.stat().st_size for file in store.root.rglob("part-*.npy"))
    lacking = total * store.dtype.itemsize - present
    files = 0 if present else total // PART_RECORDS
    require_disk(f"the missing ones of {total} {store.kind}", store.root, lacking, files, ELSEWHERE)


def _alone(store: RecordStore, build: Callable[[LogWork], BuildReport], work: LogWork) -> BuildReport:
    folder = store.root / work.group
    with building(folder, f"the cache {folder}"):
        if may_write(folder):
            sweep(folder)
        return build(work)


@contextmanager
def building(folder: Path, what: str) -> Iterator[None]:
    """Alone in a folder of caches: other processes that build there are waited for. One that cannot be written is only
    read: there a record that is missing is an error when it is to be written."""
    if not may_write(folder):
        yield
        return
    with locked(folder / ".building", what, wait=True):  # a commit, which is short, has a lock of its own
        yield


def _one_thread() -> None:
    cv2.setNumThreads(1)
