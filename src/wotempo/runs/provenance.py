"""The origin of a run: the signature of its configuration, and the code, host, time and command of each attempt."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wotempo.config.missing import BEFORE, ERROR
from wotempo.config.schema import RunConfig
from wotempo.configs import values
from wotempo.planners.config import OLDEST
from wotempo.program import stored
from wotempo.records.evidence import code_hash

# Where a run was started and what it printed do not make it another run.
NOT_IDENTITY = ("run_dir", "name_prefix", "workspace", "tracking", "acceptance", "test", "reuse", "fresh", "comparison")
# Keys of the model that runs from before lack: with what that meant, such a run has the same signature.
YOUNGER = ("head_init", "channels_last", "drive_refined", "path_scores")
NOT_IDENTITY_OF_TRAINER = ("checkpoint_every_n_steps", "on_oom")


def signature(config: RunConfig) -> str:
    """Eight hex digits over everything that changes what is computed."""
    identity = settings(config)
    missing = BEFORE[identity["data"].pop("missing", ERROR)]  # runs from before have the same signature
    lacking = values("older/keys")["data"]
    identity["data"] |= {key: value for key, value in missing.items() if lacking.get(key) != value}
    text = json.dumps(identity, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def settings(config: RunConfig) -> dict[str, Any]:
    """The keys that change what is computed, as a nested dict."""
    identity = {key: value for key, value in asdict(config).items() if key not in NOT_IDENTITY}
    if config.planner == OLDEST:  # runs from before there were others name none
        del identity["planner"]
    for key in YOUNGER:
        if identity["model"][key] == values("older/keys")["model"][key]:
            del identity["model"][key]
    if not identity["losses"].get("forecast"):
        identity["losses"].pop("forecast", None)
    if identity["trainer"]["early_stopping"] is None:  # younger than most runs
        del identity["trainer"]["early_stopping"]
    if identity["data"]["missing"] == values("older/keys")["data"]["missing"]:
        del identity["data"]["missing"]
    del identity["data"]["recheck"]  # where it is looked, not what is found
    identity["trainer"] = {k: v for k, v in identity["trainer"].items() if k not in NOT_IDENTITY_OF_TRAINER}
    return identity


def attempt() -> dict[str, Any]:
    """One attempt of a run, which begins now: when, where, by which command, with which code."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"started": now, "host": socket.gethostname(), "command": command_line(), "code": code_hash()}


def git_state() -> dict[str, Any]:
    """Commit and whether tracked files differ from it; empty outside a checkout."""
    root = Path(__file__).resolve().parent

    def git(*arguments: str) -> str | None:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return {}
    return {"commit": commit, "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}


def command_line() -> str:
    """The command line of this process, as runs record it."""
    return stored(Path(sys.argv[0]).stem.replace("_", "-"), sys.argv[1:])
