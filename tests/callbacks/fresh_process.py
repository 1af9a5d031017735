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
CONTEXT.set_forkserver_preload(["endings", "fault_zoo", "toy_ready"])  # torch is imported once


def fresh(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Started. ``target`` and ``arguments`` travel by name and value."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # what is preloaded is looked for there
    try:
        forkserver.ensure_running()
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
