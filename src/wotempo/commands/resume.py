"""Continue a run that was interrupted, with the configuration it was started with.

python -m wotempo.commands.resume [run folder, or a folder above: its latest unfinished run]
"""

from __future__ import annotations

import sys
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from wotempo.commands.entry import INTERRUPTED, quieten
from wotempo.commands.train import work
from wotempo.commands.unfinished import FINISHED, LOCK, read_verdict, unfinished_runs
from wotempo.errors import UserError
from wotempo.navsim.lock import is_locked


def choose(where: Path) -> Path:
    """The run to continue. UserError where there is none."""
    verdict = read_verdict(where)
    if verdict is None:
        if not (runs := unfinished_runs(where)):
            raise UserError(f"there is no unfinished run below {where}: start one, or name it with RUN=<folder>")
        return runs[-1]
    if verdict["status"] in FINISHED:
        raise UserError(f"{where} is {verdict['status']}: only an unfinished run can be continued")
    if getattr(rank_zero_only, "rank", 0) == 0 and is_locked(where / LOCK):
        raise UserError(f"{where} is being run by another process: wait for it")
    return where


def stored_config(run_dir: Path) -> DictConfig:
    """The configuration of a run, for the place where its folder is now."""
    file = run_dir / "config.yaml"
    if not file.is_file():
        raise UserError(f"{file} is missing: that run cannot be continued")
    config = OmegaConf.load(file)
    assert isinstance(config, DictConfig)
    config.run_dir = str(run_dir)
    config.fresh = False
    return config


def main(arguments: list[str]) -> int:
    """-> the exit code of the continued run."""
    quieten()
    if len(arguments) > 1:
        print("error: name one run folder at most", file=sys.stderr)
        return UserError.exit_code
    try:
        run_dir = choose(Path(arguments[0] if arguments else "runs").absolute())
        sys.argv[1:] = [str(run_dir)]  # processes for further GPUs are started by this command line
        return work(stored_config(run_dir))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return UserError.exit_code
    except KeyboardInterrupt:
        print("interrupted: what was prepared so far is kept", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
