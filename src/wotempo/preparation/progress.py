"""A progress bar per preparation step, or plain lines where there is no terminal. What was done before this run, and is
only counted, does not enter the rate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

LINE_EVERY_S = 30.0  # without a terminal


@dataclass
class Pace:
    """How fast one step goes: ``first`` of ``total`` were done when it began."""

    first: int
    total: int
    began: float  # seconds, any clock
    done: int
    updated: float
    printed: float  # when a line last told of it

    @classmethod
    def start(cls, done: int, total: int, now: float) -> Pace:
        return cls(done, total, now, done, now, now)

    def update(self, done: int, total: int, now: float) -> None:
        self.done, self.total, self.updated = done, total, now

    @property
    def rate(self) -> float | None:
        """Of this run, per second; None before anything was done."""
        seconds = self.updated - self.began
        return (self.done - self.first) / seconds if self.done > self.first and seconds > 0 else None

    def remaining(self, now: float) -> float | None:
        """Seconds to go at the rate of this run; None before there is one."""
        if self.rate is None:
            return None
        return max(0.0, (self.total - self.done) / self.rate - (now - self.updated))

    def clock(self, now: float) -> str:
        seconds = self.remaining(now)
        return "-:--:--" if seconds is None else str(timedelta(seconds=round(seconds)))


class _Remaining(ProgressColumn):
    """Rich's own estimate knows the last half minute only; a part may take longer."""

    def __init__(self, paces: dict[str, Pace]) -> None:
        super().__init__()
        self.paces = paces

    def render(self, task: Task) -> Text:
        return Text(self.paces[task.description].clock(time.monotonic()), style="progress.remaining")


class PreparationProgress:
    """Callable as ``progress(what, done, total)`` and as a context."""

    def __init__(self, show: bool = True) -> None:
        self.console = Console()
        self.live = show and self.console.is_terminal
        self.paces: dict[str, Pace] = {}
        self.bars = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            _Remaining(self.paces),
            console=self.console,
            disable=not self.live,
        )
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> PreparationProgress:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what not in self.tasks:
            self.paces[what] = Pace.start(done, total, now)
            self.tasks[what] = self.bars.add_task(what, total=total)
        pace = self.paces[what]
        pace.update(done, total, now)
        self.bars.update(self.tasks[what], completed=done, total=total)
        if not self.live and total:
            self._line(what, pace, now)

    def _line(self, what: str, pace: Pace, now: float) -> None:
        if pace.done == pace.total:
            earlier = f", {pace.first} of them before" if 0 < pace.first < pace.total else ""
            print(f"{what}: {pace.total} in {now - pace.began:.1f} s{earlier}", flush=True)
        elif now - pace.printed >= LINE_EVERY_S:
            pace.printed = now
            print(f"{what}: {pace.done} of {pace.total}, {pace.clock(now)} left", flush=True)
