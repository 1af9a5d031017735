"""Work in several processes: all of it is done once, errors and deaths are told, and no process outlives the first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from parallel_work import squared
from patience import wait_for

from wotempo.errors import UserError
from wotempo.processes import AHEAD, over_processes

WORK = Path(__file__).parent / "helpers" / "parallel_work.py"


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_once(workers):
    found = dict(over_processes(squared, range(20), workers))
    assert {task: square for task, (square, _) in found.items()} == {i: i * i for i in range(20)}
    processes = {process for _, process in found.values()}
    assert (processes == {os.getpid()}) == (workers == 1)
    assert len(processes) <= workers


def test_tasks_are_taken_as_workers_get_free():
    taken = []
    results = over_processes(squared, (taken.append(i) or i for i in range(100)), 2)
    next(results)
    assert len(taken) <= 2 * AHEAD
    results.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_error_is_raised_here(workers):
    with pytest.raises(UserError, match="minus one"):
        list(over_processes(squared, [1, -1, 2], workers))


def test_a_killed_worker_is_one_sentence():
    with pytest.raises(UserError, match="a worker process died, most likely for memory"):
        list(over_processes(squared, [1, -2, 2], 2))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_first(number):
    with subprocess.Popen([sys.executable, str(WORK)], stdout=subprocess.PIPE, text=True) as first:
        workers = [int(first.stdout.readline()) for _ in range(2)]
        first.send_signal(number)
        first.wait(60)
        wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), "the workers are gone")
