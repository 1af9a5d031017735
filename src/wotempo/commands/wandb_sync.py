"""Upload what runs left in offline mode, with wandb's own ``wandb sync``.

Without folders everything below runs/.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from wotempo.command_line.entry import command
from wotempo.command_line.words import Option, folders_and_options
from wotempo.errors import UserError
from wotempo.tracking.options import require_key
from wotempo.tracking.service import base_url, unreachable
from wotempo.tracking.wandb_attempts import Attempt, attempts

OPTIONS = (
    Option("project", "str", None, "of wandb; else as each run was configured"),
    Option("entity", "str", None, "user or team; else that of the key"),
    Option("dry_run", "bool", "false", "only say what would be uploaded; --dry-run is the same"),
)
CUT_OFF = "ends with an incomplete record"  # how wandb says that it uploaded all that a killed process wrote


def find(folders: list[Path]) -> list[Attempt]:
    found = {attempt.file: attempt for folder in folders for attempt in attempts(folder)}
    if not found:
        where = " ".join(str(folder) for folder in folders)
        raise UserError(f"there is no offline run of wandb below {where}: runs of tracking.wandb=offline leave them")
    return list(found.values())


def sync(these: list[Attempt], given: dict[str, str | None]) -> str:
    """Let wandb upload them -> what it said. It exits 0 whatever happened; what it uploaded bears its marker."""
    options = [f"--{name}={value}" for name, value in given.items() if value is not None]
    if any(attempt.online for attempt in these):
        options.append("--include-online")
    command = [sys.executable, "-m", "wandb", "sync", *options, *(str(attempt.file.parent) for attempt in these)]
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"}  # it may say offline
    environment["WANDB_DIR"] = str(these[0].folder)  # for its own log, which goes into ./wandb otherwise
    print("wandb uploads; it waits long for a service that does not answer", flush=True)  # and says nothing meanwhile
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    print(done.stdout, end="", flush=True)
    return done.stdout


def upload(wanted: list[Attempt], given: dict[str, str | None]) -> list[Attempt]:
    """-> those that were not uploaded. A run that was killed is uploaded as far as its file goes; wandb calls that an
    error and would do it again each time, so that its marker is set here."""
    whole = [attempt for attempt in wanted if attempt.exit_code is not None]
    if whole:
        sync(whole, given)
    for attempt in wanted:
        if attempt.exit_code is None and CUT_OFF in sync([attempt], given):
            attempt.marker.touch()
    return [attempt for attempt in wanted if not attempt.marker.exists()]


@command("[folder of a run or of runs …]", OPTIONS)
def main(arguments: list[str], root: Path = Path("runs")) -> int:
    """-> the exit code: 0, or 1 where something was not uploaded."""
    folders, given = folders_and_options(arguments, OPTIONS)
    dry = given.pop("dry_run")
    found = find(folders or [root])
    latest = {attempt.folder: attempt.file for attempt in found}
    wanted = [attempt for attempt in found if not attempt.skipped]
    if wanted and not dry:
        require_key("uploading to wandb", "say dry_run=true to see what would be uploaded")
        if (reason := unreachable(url := base_url())) is not None:
            raise UserError(f"wandb's service {url} does not answer ({reason}): try again once the network is there")
    for attempt in found:
        what = attempt.skipped or attempt.description(latest[attempt.folder] == attempt.file)
        does = "skip" if attempt.skipped else "would upload" if dry else "upload"
        where = "" if attempt.skipped else f" → {given['project'] or attempt.project}"
        print(f"{does} {attempt.file.parent}: {what}{where}")
    if dry or not wanted:
        print(f"{len(wanted)} of {len(found)} to upload")
        return 0
    left = upload(wanted, given)
    print(f"{len(wanted) - len(left)} of {len(wanted)} uploaded")
    for attempt in left:
        print(f"not uploaded: {attempt.file.parent}; see above what wandb said, and try again", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
