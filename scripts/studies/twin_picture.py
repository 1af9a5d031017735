"""A pair of twin scenes as several runs drive it, as one picture.

    make study NAME=twin_picture RUNS="runs/…/variant=convgru/seed=0 runs/…/variant=repeat_current/seed=0"

The runs were scored on twin scenes. Which pair is drawn without a name stands in wotempo.evaluation.twins.pictured.
"""

from __future__ import annotations

import sys

from wotempo.command_line.entry import command, quieten
from wotempo.command_line.words import Option, folders_and_options
from wotempo.errors import UserError
from wotempo.evaluation.twins.pictured import picture_of
from wotempo.preparation.progress import PreparationProgress

PAIR = Option("pair", "str", None, "its name in twins.json; by default a typical one")
OUT = Option("out", "path", "runs/twin_pair.png", "the picture")


@command("<folders of runs>", (PAIR, OUT))
def main(arguments: list[str]) -> int:
    """-> the exit code."""
    quieten()
    folders, given = folders_and_options(arguments, (PAIR, OUT))
    if not folders:
        raise UserError('name one run folder or more (make: RUNS="…")')
    with PreparationProgress(False) as progress:
        name = picture_of(folders, given["pair"], given["out"], progress)
    print(f"{name}: {given['out']}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
