"""Imports the label command once; then, for each line ``<moment> <arguments…>`` on stdin, forks a child that leads a
process group of its own and runs it. Prints the child's pid, and, when it is gone, how it ended. ``MOMENT`` is what the
child's environment says of the moment (see test_labels_kill.py)."""

from __future__ import annotations

import gc
import os
import shlex
import sys

from wotempo.command_line.entry import run
from wotempo.commands import labels

MOMENT = "TEST_KILL_MOMENT"


def main() -> None:
    gc.freeze()  # else each child's collector would look at, and copy, all that is imported
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.environ[MOMENT], *arguments = shlex.split(line)
            sys.argv = ["labels", *arguments]
            sys.stdout = sys.stderr
            run("labels", labels.LabelsConfig, labels.check, labels.work)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
