"""The checkpoint in a run's folder from which a killed run is continued."""

from __future__ import annotations

from pathlib import Path

from wotempo.checkpoints.plain_file import read_plain
from wotempo.errors import UserError
from wotempo.training.checkpoints import BEST, STEP


def newest_checkpoint(folder: Path, epoch_ends: bool = True) -> tuple[Path | None, int, list[str]]:
    """What to continue from -> (file, its ``global_step``, one sentence per file that cannot be read).

    The readable file of the latest step. ``best`` does not count: it was written inside of a validation. Of two files
    of one step the one in the middle of an epoch wins: the other closed an epoch that was cut short.

    ``epoch_ends``: False where ``max_steps`` ends the run: Lightning, continued from the end of an epoch, closes that
    epoch a second time then, so only step checkpoints count.
    """
    found: list[tuple[int, bool, Path]] = []
    damaged = []
    for path in sorted(folder.glob("*.ckpt")):
        if path.stem == BEST or not (epoch_ends or path.stem.startswith(STEP)):
            continue
        try:
            step = read_plain(path).get("global_step")
        except UserError as error:
            damaged.append(f"{path.name} does not load ({str(error).removeprefix(f'{path} ')})")
        else:
            if type(step) is int:
                found.append((step, path.stem.startswith(STEP), path))
            else:
                damaged.append(f"{path.name} does not load (it names no global_step)")
    if not found:
        return None, 0, damaged
    step, _, path = max(found)
    return path, step, damaged
