"""Work in several processes that die with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from wotempo.errors import UserError

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 2  # tasks, for each worker, that are handed out: what waits need not lie in a queue


def over_processes(
    work: Callable[[T], R],
    tasks: Iterable[T],
    workers: int,
    preload: Sequence[str] = (),
    begin: Callable[[], None] | None = None,
) -> Generator[tuple[T, R], None, None]:
    """Each task with its result, as they are finished; in order and in this process for one worker.

    ``work`` and the tasks must be picklable; tasks are taken as workers get free, not before. ``preload``: modules that
    the workers share; ``begin`` is called in each worker first. The first error stops the rest and is raised here.
    UserError where a worker was killed.
    """
    if isinstance(tasks, Sequence):
        workers = min(workers, len(tasks))
    if workers <= 1:
        yield from ((task, work(task)) for task in tasks)
        return
    # forkserver: the caller may hold threads or a GPU, which a fork would not survive.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    left = iter(tasks)
    running: dict[Future[R], T] = {}
    with ProcessPoolExecutor(workers, context, _begin, (begin,)) as pool:
        try:
            while True:
                for task in islice(left, AHEAD * workers - len(running)):
                    running[pool.submit(work, task)] = task
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BrokenProcessPool:
            raise UserError("a worker process died, most likely for memory; use fewer workers") from None
        finally:
            if running:  # left early, often with seconds to live: work is committed as it ends, what is begun is lost
                _end(pool)


def _end(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):  # no public way before Python 3.14
        process.terminate()
    pool.shutdown(wait=True, cancel_futures=True)


def _begin(begin: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; a task ends, and the parent goes
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
