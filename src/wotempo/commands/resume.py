"""Continue a run that was interrupted, with the configuration it was started with.

Without a folder the latest unfinished run below runs/.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from wotempo.command_line.entry import command, quieten
from wotempo.config.stored import checked, stored
from wotempo.errors import UserError
from wotempo.experiment.run import work
from wotempo.navsim.lock import is_locked
from wotempo.records.reading import ALTERED, read_verdict
from wotempo.runs.unfinished import FINISHED, LOCK, unfinished_runs


def choose(where: Path) -> Path:
    """The run to continue. UserError where there is none."""
    verdict = read_verdict(where)
    if verdict is None:
        if not (runs := unfinished_runs(where)):
            raise UserError(f"there is no unfinished run below {where}: start one, or name it with RUN=<folder>")
        return runs[-1]
    if verdict["status"] == ALTERED:
        raise UserError(f"{where}: {verdict['reason']}; a run that was altered is not continued")
    if verdict["status"] in FINISHED:
        raise UserError(f"{where} is {verdict['status']}: only an unfinished run can be continued")
    if getattr(rank_zero_only, "rank", 0) == 0 and is_locked(where / LOCK):
        raise UserError(f"{where} is being run by another process: wait for it")
    return where


@command("[folder of a run, or one above: its latest unfinished run]")
def main(arguments: list[str]) -> int:
    """-> the exit code of the continued run."""
    quieten()
    if len(arguments) > 1:
        raise UserError("name one run folder at most")
    run_dir = choose(Path(arguments[0] if arguments else "runs").absolute())
    sys.argv[1:] = [str(run_dir)]  # processes for further GPUs are started by this command line
    config = stored(run_dir)
    checked(run_dir, config, {"run_dir": str(run_dir), "fresh": False})  # where the folder is now
    return work(config)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
