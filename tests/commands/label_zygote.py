"""Imports the label command once; then, for each line of arguments on stdin, forks a child that leads a process group
of its own and runs it. Prints the child's pid, and, when the next line comes or stdin ends, how it ended."""

from __future__ import annotations

import os
import shlex
import sys

from wotempo.command_line.entry import run
from wotempo.commands import labels


def main() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            sys.argv = ["labels", *shlex.split(line)]
            sys.stdout = sys.stderr
            run("labels", labels.LabelsConfig, labels.check, labels.work)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
