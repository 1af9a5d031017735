"""Filling a RecordStore: what is good stays, the rest is computed by several processes and committed as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np

from wotempo.data.store import Entry, RecordStore
from wotempo.navsim.per_scene import attempted
from wotempo.processes import over_processes

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

    work = partial(_write, store, compute=compute, skip=skip)
    with closing(over_processes(work, list(_parts(todo)), workers, (compute.__module__,), _one_thread)) as written:
        for part, of_part in written:
            finished(part, of_part)
    return report


def _one_thread() -> None:
    cv2.setNumThreads(1)
