"""Children that are forked from a process which never trained: a training starts threads of autograd, and no fork of a
process that has them can train."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from typing import Any

from patience import HANGS_S

CONTEXT = multiprocessing.get_context("forkserver")
READY = ["endings", "fault_zoo", "toy_ready"]  # imported once, torch with them


def _serve() -> None:
    """A process has one server. One that another test started lacks ``READY``, and each child would import it."""
    server: Any = forkserver._forkserver  # no public name stops it
    if server._preload_modules != READY:
        server._stop()
        CONTEXT.set_forkserver_preload(READY)
    forkserver.ensure_running()


def fresh(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Started. ``target`` and ``arguments`` travel by name and value."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # what is preloaded is looked for there
    try:
        _serve()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
    process = CONTEXT.Process(target=target, args=arguments)
    process.start()
    return process


def joined(processes: Sequence[BaseProcess]) -> list[int]:
    """Waits until all are gone -> the numbers of those that hung and were killed."""
    for each in processes:
        each.join(HANGS_S)
    hanging = [number for number, each in enumerate(processes) if each.exitcode is None]
    for each in processes:
        each.kill()
        each.join()
    return hanging
