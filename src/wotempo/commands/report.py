"""Write a run as one HTML file, beside its verdict.

Worst and best scenes, and one scene that moves, need the run's data and its checkpoint: windows of the test split are
planned for them.
"""

from __future__ import annotations

import sys

from wotempo.command_line.entry import command, quieten
from wotempo.command_line.words import Option, folders_and_options
from wotempo.errors import UserError
from wotempo.navsim import write_bytes
from wotempo.preparation.progress import PreparationProgress
from wotempo.report.run_files import read_files
from wotempo.report.run_page import run_page

OPTIONS = (
    Option("scenes", "int", "3", "so many worst scenes, and as many best ones"),
    Option("windows", "int", "12", "of the test split that are planned to find them; 0: none"),
    Option("out", "path", None, "the page; else report.html in the folder"),
)


@command("<folder of a run>", OPTIONS)
def main(arguments: list[str]) -> int:
    """-> the exit code: 0, or 2 where there is nothing to report on."""
    quieten()
    folders, given = folders_and_options(arguments, OPTIONS)
    if len(folders) != 1:
        raise UserError("name one run folder (make: RUN=folder)")
    run, out = read_files(folders[0]), given["out"] or folders[0] / "report.html"
    from wotempo.evaluation.report_scenes import take_pictures  # plans with the model: loaded once there is a run

    with PreparationProgress(sys.stderr.isatty()) as progress:
        pictures = take_pictures(run, given, progress)
    write_bytes(out, run_page(run, pictures).encode())
    print(f"report: {out} ({out.stat().st_size / 1e6:.1f} MB)")
    for sentence in run.damage:
        print(f"  {sentence}")
    for what, remedy in pictures.lacking:
        print(f"  {what} To have it: {remedy}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
