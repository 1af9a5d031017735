"""Engines that compute labels: this process, worker processes or a Dask cluster (through joblib), or a Ray cluster."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from wotempo.errors import UserError

PACKAGES = {"processes": "joblib", "dask": "distributed", "ray": "ray"}  # engine -> what must be importable
INSTALL = {"dask": "pip install 'dask[distributed]'", "ray": "pip install ray"}
PARENT_POLL_S = 1.0


@dataclass(frozen=True)
class Engine:
    """``workers`` processes of this machine, or, with the ``address`` of a Dask or Ray cluster, all that it has."""

    name: str = "processes"
    workers: int = 1
    address: str | None = None

    def check(self) -> None:
        """Raises UserError when there is no such engine, its package is missing, or it takes no address."""
        if self.name not in PACKAGES:
            raise UserError(f"there is no engine '{self.name}'; known: {', '.join(PACKAGES)}")
        if find_spec(PACKAGES[self.name]) is None:
            raise UserError(f"engine={self.name} needs a package that is not installed: {INSTALL[self.name]}")
        if self.workers < 1:
            raise UserError(f"workers is {self.workers}: set it to 1 or more")
        if self.address is not None and self.name == "processes":
            raise UserError("engine=processes works on this machine: an address needs engine=dask or engine=ray")

    def run(self, work: Callable[[Any], int], parts: Sequence[Any]) -> Iterator[int]:
        """Yield ``work(part)`` of each part as it is finished, in any order.

        Raises what ``work`` raises, and UserError when a worker was killed or the cluster cannot be reached.
        """
        self.check()
        if not parts:
            return
        if self.name == "processes" and self.workers == 1:
            yield from map(work, parts)
            return
        if self.name == "ray":
            yield from _run_with_ray(self, work, parts)
            return
        try:
            from joblib import Parallel, delayed  # of no use to a run that has its labels

            with _BACKENDS[self.name](self):
                # A part is seconds of work. Without memory maps of arguments a kill leaves no data in /dev/shm.
                parallel = Parallel(return_as="generator_unordered", batch_size=1, max_nbytes=None)
                yield from parallel(delayed(_while_parent_lives)(work, part, self.name) for part in parts)
        except BrokenProcessPool as error:
            raise UserError("a labelling process was killed, most likely for memory; use fewer workers") from error


@contextmanager
def _processes(engine: Engine) -> Iterator[None]:
    from joblib import parallel_config
    from joblib.externals.loky import get_reusable_executor

    # loky's workers do not import the command's main module, and with it torch
    with parallel_config("loky", n_jobs=engine.workers):
        try:
            yield
        finally:
            get_reusable_executor().shutdown(wait=True, kill_workers=True)  # else they idle for minutes


@contextmanager
def _dask(engine: Engine) -> Iterator[None]:
    from distributed import Client, LocalCluster
    from joblib import parallel_config

    if engine.address is not None:
        try:
            client = Client(engine.address)
        except (OSError, ValueError) as error:
            raise UserError(f"address={engine.address}: no Dask scheduler answers there ({error})") from error
        with client, parallel_config("dask"):
            yield
        return
    with (
        LocalCluster(n_workers=engine.workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        parallel_config("dask"),
    ):
        yield


_BACKENDS = {"processes": _processes, "dask": _dask}


def _run_with_ray(engine: Engine, work: Callable[[Any], int], parts: Sequence[Any]) -> Iterator[int]:
    """Ray's joblib backend hands nothing over before all is done; this is the pool that it is made of."""
    import ray
    from ray.util.multiprocessing import Pool

    local = {"num_cpus": engine.workers, "include_dashboard": False} if engine.address is None else {}
    try:
        ray.init(address=engine.address or "local", log_to_driver=False, **local)
    except ConnectionError as error:
        raise UserError(f"address={engine.address}: no Ray cluster answers there ({error})") from error
    try:
        with Pool(engine.workers if engine.address is None else None) as pool:
            yield from pool.imap_unordered(work, parts)
    finally:
        ray.shutdown()


_watching = threading.Lock()


def _while_parent_lives(work: Callable[[Any], int], part: Any, engine: str) -> int:
    if engine == "processes" and _watching.acquire(blocking=False):  # once in a process
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    return work(part)


def _end_with_parent(parent: int) -> None:
    """A worker whose parent was killed would wait for work for minutes."""
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_S)
    os._exit(1)
