"""Finding and claiming the folder of a run that was interrupted."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wotempo.checkpoints.newest import newest_checkpoint
from wotempo.errors import UserError
from wotempo.navsim.lock import is_locked
from wotempo.records.evidence import ran_other_code
from wotempo.records.reading import ALTERED, read_verdict, read_verdicts
from wotempo.records.run_folders import CONFIG, run_folders

LOCK = ".running"
FINISHED = ("accepted", "rejected")
STRICT = "strict"


@dataclass
class Claim:
    """What a run folder holds. ``finished``: the verdict of a finished run, which is kept. ``checkpoint`` and
    ``resumed`` (one entry per interruption: step, reason, files that do not load): where to go on. ``command``: the
    command line that a resumed run was started with."""

    finished: dict[str, Any] | None = None
    checkpoint: Path | None = None
    step: int = 0
    resumed: list[dict[str, Any]] = field(default_factory=list)
    out_of_memory: list[dict[str, Any]] = field(default_factory=list)  # see out_of_memory.py
    command: str | None = None


def unfinished_runs(root: Path, identity: str | None = None) -> list[Path]:
    """Run folders below ``root`` that ended without a verdict and that no process holds, the latest last; with
    ``identity`` those of that signature."""
    found = []
    verdicts, notes = read_verdicts(run_folders(root))
    for note in notes:
        print(note, flush=True)
    for folder, verdict in verdicts.items():
        ours = identity is None or verdict["facts"].get("signature") == identity
        if verdict["status"] in (*FINISHED, ALTERED) or not ours or not (folder / CONFIG).is_file():
            continue
        if not is_locked(folder / LOCK):
            found.append((verdict["written"], folder))
    return [folder for _, folder in sorted(found)]


def claim_run_dir(path: Path, identity: str, reuse: bool | str, fresh: bool = False, epoch_ends: bool = True) -> Claim:
    """Claim an output folder for one run; UserError where the folder holds another one.

    An unfinished run of the same ``identity`` is continued, or with ``fresh`` removed; a finished one is refused, or
    with ``reuse`` returned, which says whether other code made it; with ``strict`` that is refused. ``epoch_ends``:
    see ``newest_checkpoint``.
    """
    verdict = read_verdict(path)
    if verdict is None:
        path.mkdir(parents=True, exist_ok=True)
        return Claim()
    if verdict["status"] == ALTERED:
        raise UserError(f"{path}: {verdict['reason']}; choose another run_dir, or remove that folder")
    theirs = verdict["facts"].get("signature")
    finished = verdict["status"] in FINISHED
    if finished and not reuse:
        raise UserError(f"{path} holds another run: choose another run_dir or remove that run")
    if theirs != identity:
        raise UserError(
            f"{path} holds run {theirs} of another configuration, this one is "
            f"{identity}: choose another hydra.sweep.dir or run_dir, or remove that folder"
        )
    if finished:
        if ran_other_code(verdict):
            if reuse == STRICT:
                raise UserError(f"{path} ran with other code than is here: reuse=true takes it all the same")
            print(f"{path}: ran with other code than is here; reuse=strict would refuse it", flush=True)
        return Claim(finished=verdict)
    if fresh:
        print(f"{path}: {verdict['reason']}; it is run anew", flush=True)
        for member in path.iterdir():
            if member.name != LOCK:
                shutil.rmtree(member) if member.is_dir() else member.unlink()
        return Claim()
    return _resume(path, verdict, epoch_ends)


def _resume(path: Path, verdict: dict[str, Any], epoch_ends: bool) -> Claim:
    for unfinished in path.rglob(".*.tmp"):  # a killed process removes nothing
        shutil.rmtree(unfinished) if unfinished.is_dir() else unfinished.unlink()
    checkpoint, step, damaged = newest_checkpoint(path / "checkpoints", epoch_ends)
    entry: dict[str, Any] = {"step": step, "reason": verdict["reason"]}
    if damaged:
        entry["damaged"] = damaged
    where = f"continued at step {step} ({checkpoint.name})" if checkpoint else "no checkpoint yet, it starts again"
    notes = "".join(f"; {sentence}" for sentence in damaged)
    print(f"{path}: {verdict['reason']}; {where}{notes}; fresh=true starts anew", flush=True)
    facts = verdict["facts"]
    resumed = [*facts.get("resumed", []), entry]
    past = facts.get("out_of_memory", [])
    return Claim(None, checkpoint, step, resumed, past, facts.get("command"))
