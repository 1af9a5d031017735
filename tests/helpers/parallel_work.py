"""Work for other processes, in a module that is quick to import; as a script, work that never ends."""

from __future__ import annotations

import os
import signal
import sys
import time

from wotempo.errors import UserError
from wotempo.processes import over_processes


def squared(number: int) -> tuple[int, int]:
    """-> the square and the process; UserError for −1, and a killed process for −2."""
    if number == -1:
        raise UserError("minus one has no place here")
    if number == -2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number, os.getpid()


def endless(number: int) -> None:
    print(os.getpid(), flush=True)
    time.sleep(600)


if __name__ == "__main__":
    sys.modules["parallel_work"] = sys.modules["__main__"]
    list(over_processes(endless, [1, 2, 3, 4], 2))
