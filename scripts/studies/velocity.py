"""The agents' velocities as read from a run's BEV maps: from the current one, and from its history.

    make study NAME=velocity RUN=runs/…

The run is one of several frames. What is measured stands in wotempo.evaluation.probes.velocity_readings.
"""

from __future__ import annotations

import sys

from wotempo.command_line.entry import command, quieten
from wotempo.command_line.words import Option, folders_and_options
from wotempo.errors import UserError
from wotempo.evaluation.probes.velocity_readings import table

SEEDS = Option("seeds", "int", "3", "fits that a figure is the mean of")


@command("<folder of a run>", (SEEDS,))
def main(arguments: list[str]) -> int:
    """-> the exit code."""
    quieten()
    folders, given = folders_and_options(arguments, (SEEDS,))
    if len(folders) != 1:
        raise UserError("name one run folder (make: RUN=folder)")
    if given["seeds"] < 1:
        raise UserError(f"seeds is {given['seeds']}: set it to 1 or more")
    for line in table(folders[0], given["seeds"]):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
