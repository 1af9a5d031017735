"""Continue a run that was interrupted, with the configuration it has; or a finished one by more epochs.

    wotempo resume runs/a/b trainer.max_epochs=5    # extends a run of fewer

Without a folder the latest unfinished run below runs/. Keys that do not change what is computed, or say where something
lies, may be given anew: workspace, tracking, reuse=strict, data.labels, …
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig

from wotempo.command_line.entry import command, quieten
from wotempo.config.stored import checked, require_own_places, stored
from wotempo.errors import UserError
from wotempo.experiment.run import work
from wotempo.navsim.lock import is_locked, locked
from wotempo.records.reading import ALTERED, read_verdict
from wotempo.runs.extension import extend
from wotempo.runs.provenance import NOT_IDENTITY, NOT_IDENTITY_OF_TRAINER
from wotempo.runs.settings import PLACES
from wotempo.runs.unfinished import FINISHED, LOCK, unfinished_runs

EPOCHS = "trainer.max_epochs"
FREE = (
    *(key for key in NOT_IDENTITY if key not in ("run_dir", "name_prefix", "fresh")),
    *(f"trainer.{key}" for key in NOT_IDENTITY_OF_TRAINER),
    *PLACES,
)
"""Keys that a run which goes on may have of another value."""


def changes_of(words: list[str]) -> dict[str, Any]:
    """key=value, in Hydra's grammar -> key -> value. UserError for a key that would make it another run."""
    try:
        parsed = OverridesParser.create().parse_overrides(words)
        changes = {override.get_key_element(): override.value() for override in parsed}
    except HydraException as error:
        raise UserError(f"cannot read the command line: {str(error).splitlines()[0]}") from None
    for key in changes:
        if key != EPOCHS and not any(key == free or key.startswith(f"{free}.") for free in FREE):
            raise UserError(
                f"{key} makes it another run: start one with wotempo train; resume takes {EPOCHS}, {', '.join(FREE)}"
            )
    return changes


def choose(where: Path, extends: bool = False) -> Path:
    """The run to continue; with ``extends`` also a finished one. UserError where there is none."""
    verdict = read_verdict(where)
    if verdict is None:
        if not (runs := unfinished_runs(where)):
            raise UserError(f"there is no unfinished run below {where}: start one, or name it with RUN=<folder>")
        return runs[-1]
    if verdict["status"] == ALTERED:
        raise UserError(f"{where}: {verdict['reason']}; a run that was altered is not continued")
    if verdict["status"] in FINISHED and not extends:
        raise UserError(
            f"{where} is {verdict['status']}: only an unfinished run can be continued; {EPOCHS}=<more> extends this one"
        )
    if getattr(rank_zero_only, "rank", 0) == 0 and is_locked(where / LOCK):
        raise UserError(f"{where} is being run by another process: wait for it")
    return where


def prepared(run_dir: Path, changes: dict[str, Any]) -> DictConfig:
    """The stored configuration with the changes; a finished run becomes one that goes on."""
    raw = stored(run_dir)
    before = raw.trainer.max_epochs
    # where the folder is now
    config = checked(run_dir, raw, {"run_dir": str(run_dir), "fresh": False, **changes})
    require_own_places(run_dir, config, changes)
    verdict = read_verdict(run_dir)
    assert verdict is not None
    if verdict["status"] not in FINISHED:
        if config.trainer.max_epochs != before:
            raise UserError(f"{run_dir} is {verdict['status']}: let it do its {before} epochs first, without {EPOCHS}")
    elif getattr(rank_zero_only, "rank", 0) == 0:
        with locked(run_dir / LOCK, str(run_dir)):
            extend(run_dir, verdict, raw, before, config)
    return raw


@command("[folder of a run, or one above: its latest unfinished run] [key=value …]")
def main(arguments: list[str]) -> int:
    """-> the exit code of the continued run."""
    quieten()
    words = [word for word in arguments if re.match(r"[\w.]+=", word) and not Path(word).exists()]
    folders = [word for word in arguments if word not in words]
    if len(folders) > 1:
        raise UserError("name one run folder at most")
    changes = changes_of(words)
    run_dir = choose(Path(folders[0] if folders else "runs").absolute(), EPOCHS in changes)
    sys.argv[1:] = [str(run_dir), *words]  # processes for further GPUs are started by this command line
    return work(prepared(run_dir, changes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
