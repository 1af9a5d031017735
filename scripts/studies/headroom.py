"""The worth of velocities to the collision scores, and how much of it planners have learnt.

    make study NAME=headroom RUNS="runs/… runs/…"

What is measured stands in wotempo.evaluation.probes.headroom.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wotempo.command_line.entry import command, quieten
from wotempo.errors import UserError
from wotempo.evaluation.probes.headroom import table


@command("<folder of a run> …")
def main(arguments: list[str]) -> int:
    """-> the exit code."""
    quieten()
    if not arguments:
        raise UserError('name one run folder or more (make: RUNS="folder folder")')
    for line in table([Path(argument) for argument in arguments]):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
