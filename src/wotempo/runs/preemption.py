"""The signals by which a scheduler ends a run early: SIGUSR1 from Slurm (time limit, preemption), SIGUSR2 from
submitit. The run saves at the end of its batch, writes that into its verdict, and goes back into the queue.

Lightning could requeue by itself (``SLURMEnvironment(auto_requeue)``), but inside the signal handler, in the middle of
a step, without a verdict. Only one of the two may handle the signal.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from lightning.pytorch.utilities import rank_zero_only

from callbacks import Preempted

MAX_RESTARTS = "WOTEMPO_MAX_RESTARTS"  # tells the run that it may requeue its job, and how often
SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)


class StopSignal:
    """Listens for the scheduler's signals, ends the run at a place where it can, and requeues its job.

    Attributes:
        received: name of the signal, ``""`` before it came.
    """

    def __init__(self) -> None:
        self.received = ""
        self._waits = False
        self._queued = False
        self._process = os.getpid()
        self._before: dict[int, Any] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        self._before = {number: signal.signal(number, self._take) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside, the training loop looks at ``received`` and ends behind a batch; outside, the signal ends the run at
        once, since all that was prepared is kept."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def leave(self) -> NoReturn:
        raise Preempted(f"{self.received}: the time limit is near, or the scheduler needs the machine")

    def leave_if_received(self) -> None:
        if self.received:
            self.requeue()
            self.leave()

    def _take(self, number: int, _: Any) -> None:
        if self.received or os.getpid() != self._process:  # a forked worker inherits this handler
            return
        self.received = signal.Signals(number).name
        print(f"{self.received}: this attempt is to end", flush=True)
        if not self._waits:
            self.requeue()  # first: leaving may have to wait for workers
            self.leave()

    def requeue(self) -> None:
        """Put the job back into the queue, once. Slurm then ends this process."""
        if self._queued or getattr(rank_zero_only, "rank", 0) != 0:
            return
        self._queued = True
        before = self._before.get(signal.Signals[self.received])
        if callable(before):  # of submitit, which requeues in its own way
            before(signal.Signals[self.received], None)
        elif (limit := os.environ.get(MAX_RESTARTS)) is not None and "SLURM_JOB_ID" in os.environ:
            requeue_job(os.environ["SLURM_JOB_ID"], int(os.environ.get("SLURM_RESTART_COUNT", 0)), int(limit))


def requeue_job(job: str, restarts: int, limit: int) -> None:
    if restarts >= limit:
        print(f"job {job} was requeued {restarts} times, machine.max_restarts allows no more: make resume goes on")
        return
    print(f"requeueing job {job}", flush=True)
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
        refusal = done.stderr.strip() if done.returncode else ""
    except FileNotFoundError:
        refusal = "there is no scontrol here"
    if refusal:
        print(f"job {job} is not requeued ({refusal}): make resume goes on", file=sys.stderr, flush=True)
