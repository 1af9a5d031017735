"""Damaged files read in processes of their own, and how many of which readers ended how."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

WORKER = Path(__file__).with_name("fuzz_worker.py")
CPU_SECONDS = 10.0  # for one file
WALL_SECONDS = 180.0  # of a process that waits for something
START_SECONDS = 900.0  # a busy machine imports slowly
GOOD = ("value", "refused")
FAULTS = ("unclear", "traceback", "signal", "hang", "memory")


@dataclass
class Counts:
    """How often a reader ended how: in GOOD or FAULTS. ``details`` of a fault: which input, and what was seen."""

    ended: Counter[str] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return sum(self.ended[kind] for kind in FAULTS)


class Worker:
    """One process at a time, of the targets in ``module``; a new one where the last one died."""

    def __init__(self, folder: Path, module: str, cpu_seconds: float) -> None:
        self.folder, self.module, self.cpu_seconds = folder, module, cpu_seconds
        self._process: subprocess.Popen[str] | None = None

    def ask(self, target: str, number: int) -> tuple[str, str]:
        """What came of an input, and a detail."""
        process = self._running()
        assert process.stdin is not None
        process.stdin.write(f"{target}\t{number}\n")
        process.stdin.flush()
        answer = self._line(process)
        if answer:
            found = json.loads(answer)
            return found["kind"], found["detail"]
        self._process = None
        with process:
            if answer is None:
                process.kill()
                return "hang", f"no answer in {WALL_SECONDS:g} s"
        code = process.returncode
        if code == -signal.SIGPROF:
            return "hang", f"more than {self.cpu_seconds:g} s of CPU"
        return "signal", signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def _line(self, process: subprocess.Popen[str], seconds: float = WALL_SECONDS) -> str | None:
        """A line of the process, "" where it died, None where it says nothing for so long."""
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        return process.stdout.readline() if ready else None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            command = [sys.executable, str(WORKER), str(self.folder), self.module, str(self.cpu_seconds)]
            pipe, one = subprocess.PIPE, {**os.environ, "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1, env=one)
            if self._line(self._process, START_SECONDS) != "ready\n":
                raise RuntimeError(f"{' '.join(command)} does not start: run it by hand")
        return self._process

    def close(self) -> None:
        if self._process is not None:
            with self._process:  # closes its pipes, waits for it
                self._process.kill()


def fuzz(
    folder: Path, inputs: Iterable[tuple[str, int]], module: str = "fuzz_targets", cpu_seconds: float = CPU_SECONDS
) -> Iterator[tuple[str, int, str, str]]:
    """(target, number, how it ended, detail) of each of ``inputs``, which are (target, number)."""
    worker = Worker(folder, module, cpu_seconds)
    try:
        for target, number in inputs:
            yield target, number, *worker.ask(target, number)
    finally:
        worker.close()


def counted(results: Iterable[tuple[str, int, str, str]]) -> dict[str, Counts]:
    """By target."""
    found: dict[str, Counts] = defaultdict(Counts)
    for target, number, kind, detail in results:
        found[target].ended[kind] += 1
        if kind in FAULTS:
            found[target].details.append(f"{target} {number}: {kind}: {detail}")
    return found


def table(found: dict[str, Counts]) -> list[str]:
    """Lines of a table in markdown, with a sum."""
    columns = ("inputs", *GOOD, *FAULTS)
    lines = [f"| reader | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    total: Counter[str] = Counter()
    for target, counts in found.items():
        total += counts.ended
        lines.append(_row(target, counts.ended))
    return [*lines, _row("all", total)]


def _row(name: str, ended: Counter[str]) -> str:
    return f"| {name} | {ended.total()} | {' | '.join(str(ended[kind]) for kind in (*GOOD, *FAULTS))} |"
