"""A run as one HTML file, beside its verdict.

python -m wotempo.commands.report <run folder> [scenes=3] [windows=12] [out=<file>]

Worst and best scenes, and one scene that moves, need the run's data and its checkpoint: so many windows of the test
split are planned. ``windows=0`` plans none.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wotempo.command_line.entry import command, quieten
from wotempo.command_line.words import folders_and_options
from wotempo.errors import UserError
from wotempo.evaluation.report_scenes import take_pictures
from wotempo.navsim import write_bytes
from wotempo.preparation.progress import PreparationProgress
from wotempo.report.run_files import read_files
from wotempo.report.run_page import run_page

DEFAULTS = {"scenes": 3, "windows": 12}


def parse(arguments: list[str]) -> tuple[Path, dict[str, int], Path]:
    """-> the run's folder, counts, and where the page goes."""
    folders, given = folders_and_options(arguments, (*DEFAULTS, "out"))
    if len(folders) != 1:
        raise UserError("name one run folder (make: RUN=folder)")
    counts = {}
    for name, usual in DEFAULTS.items():
        text = given.get(name, str(usual))
        if not text.isdigit():
            raise UserError(f"{name} is '{text}': set it to 0 or more")
        counts[name] = int(text)
    return folders[0], counts, Path(given.get("out", folders[0] / "report.html"))


@command
def main(arguments: list[str]) -> int:
    """-> the exit code: 0, or 2 where there is nothing to report on."""
    quieten()
    folder, counts, out = parse(arguments)
    run = read_files(folder)
    with PreparationProgress(sys.stderr.isatty()) as progress:
        pictures = take_pictures(run, counts, progress)
    write_bytes(out, run_page(run, pictures).encode())
    print(f"report: {out} ({out.stat().st_size / 1e6:.1f} MB)")
    for what, remedy in pictures.lacking:
        print(f"  {what} To have it: {remedy}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
