"""The cost of a command with all processes that it starts, looked at from outside: processor seconds, and memory."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

LOOK_EVERY_S = 0.5
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """``peak_mb``: of all processes together, what they share counted once; ``largest_mb``: of the largest one."""

    code: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    largest_mb: float
    output: str


def watched(command: Sequence[str], environment: dict[str, str] | None = None) -> Cost:
    """Run a command to its end (Linux)."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, errors="replace"
    )
    cpu: dict[int, float] = {}
    peaks = {"all": 0.0, "one": 0.0}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_EVERY_S):
            sizes = []
            for pid in _tree(process.pid):
                seconds, share, size = _state(pid)
                cpu[pid] = max(seconds, cpu.get(pid, 0.0))
                sizes.append((share, size))
            peaks["all"] = max(peaks["all"], sum(share for share, _ in sizes))
            peaks["one"] = max(peaks["one"], *(size for _, size in sizes), 0.0)

    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    output, _ = process.communicate()
    ended.set()
    looker.join()
    return Cost(process.returncode, time.monotonic() - began, sum(cpu.values()), peaks["all"], peaks["one"], output)


def _tree(root: int) -> Iterator[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if (fields := _fields(int(folder.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    left = [root]
    while left:
        pid = left.pop()
        left += children.get(pid, ())
        yield pid


def _fields(pid: int) -> list[str] | None:
    """Of /proc/<pid>/stat, from the state on; None where it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _state(pid: int) -> tuple[float, float, float]:
    """Processor seconds so far, and its memory in MB: the proportional share, and all that it maps."""
    fields = _fields(pid)
    seconds = 0.0 if fields is None else (int(fields[11]) + int(fields[12])) * TICK_S
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        words = [line.split() for line in lines]
        share, size = (next(int(of[1]) / 1024 for of in words if of[0] == name) for name in ("Pss:", "Rss:"))
        return seconds, share, size
    except (OSError, StopIteration):
        return seconds, 0.0, 0.0
