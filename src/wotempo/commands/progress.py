"""A progress bar per preparation step, or plain lines where there is no terminal."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class PreparationProgress:
    """Callable as ``progress(what, done, total)`` and as a context."""

    def __init__(self, show: bool = True) -> None:
        self.console = Console()
        self.live = show and self.console.is_terminal
        self.bars = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.live,
        )
        self.tasks: dict[str, TaskID] = {}
        self.started: dict[str, float] = {}

    def __enter__(self) -> PreparationProgress:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self.tasks:
            self.tasks[what] = self.bars.add_task(what, total=total)
            self.started[what] = time.monotonic()
        self.bars.update(self.tasks[what], completed=done, total=total)
        if not self.live and total and done == total:
            print(f"{what}: {total} in {time.monotonic() - self.started[what]:.1f} s", flush=True)
