"""Finding and claiming the folder of a run that was interrupted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wotempo.checkpoints.newest import newest_checkpoint
from wotempo.errors import UserError
from wotempo.navsim.lock import is_locked
from wotempo.records.evidence import FINISHED, ran_other_code
from wotempo.records.reading import ALTERED, read_verdict, read_verdicts
from wotempo.records.run_folders import CONFIG, run_folders
from wotempo.runs.identity import DECIDES, Identity, code_and_libraries, different, read_identity
from wotempo.runs.listing import listed
from wotempo.runs.provenance import git_state

LOCK = ".running"
STRICT = "strict"
WORDS = {"code": "other code", "libraries": "other libraries", "files": "other content of the files it names"}
"""Parts of the identity that may change between two attempts, and what it is called."""


@dataclass
class Claim:
    """What a run folder holds. ``finished``: the verdict of a finished run, which is kept. ``checkpoint`` and
    ``resumed`` (one entry per interruption: the attempt that ended, its reason, the step to go on from, files that do
    not load): where to go on. ``command``: the command line that a resumed run was started with. ``identity``: that of
    the latest attempt; ``commit``: its commit; ``facts``: those of its verdict."""

    finished: dict[str, Any] | None = None
    checkpoint: Path | None = None
    step: int = 0
    resumed: list[dict[str, Any]] = field(default_factory=list)
    out_of_memory: list[dict[str, Any]] = field(default_factory=list)  # see out_of_memory.py
    command: str | None = None
    identity: Identity = field(default_factory=dict)
    commit: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def unfinished_runs(root: Path, identity: str | None = None) -> list[Path]:
    """Run folders below ``root`` that ended without a verdict and that no process holds, the latest last; with
    ``identity`` those of that signature, else none that was refused before its first step: it would be again."""
    found = []
    verdicts, notes = read_verdicts(run_folders(root))
    for note in notes:
        print(note, flush=True)
    for folder, verdict in verdicts.items():
        refused = verdict["exit_code"] == UserError.exit_code and not verdict["steps"]
        ours = not refused if identity is None else verdict["facts"].get("signature") == identity
        if verdict["status"] in (*FINISHED, ALTERED) or not ours or not (folder / CONFIG).is_file():
            continue
        if not is_locked(folder / LOCK):
            found.append((verdict["written"], folder))
    return [folder for _, folder in sorted(found)]


def claim_run_dir(
    path: Path,
    identity: str,
    reuse: bool | str,
    fresh: bool = False,
    epoch_ends: bool = True,
    other_settings: Callable[[], list[str] | None] = lambda: None,
    holds: bool = True,
) -> Claim:
    """Claim an output folder for one run; UserError where the folder holds another one.

    An unfinished run of the same ``identity`` is continued, or with ``fresh`` removed; a finished one is refused, or
    with ``reuse`` returned, which says whether other code made it; with ``strict`` that is refused. ``epoch_ends``:
    see ``newest_checkpoint``. ``other_settings``: asked where the identity is another one; what differs in the two
    configurations, and nothing where they are spelled differently only. Without ``holds`` this process is a further
    rank of the run, whose first one holds the folder: nothing is changed there, and nothing said twice.
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
    if theirs != identity and (differs := other_settings()) != []:
        keys = "" if differs is None else f" ({listed(differs)})"
        raise UserError(
            f"{path} holds run {theirs} of another configuration, this one is "
            f"{identity}{keys}: choose another hydra.sweep.dir or run_dir, or remove that folder"
        )
    if finished:
        if ran_other_code(verdict):
            files = different(read_identity(path), code_and_libraries()).get("code", [])
            which = f" ({listed(files)})" if files else ""
            if reuse == STRICT:
                raise UserError(f"{path} ran with other code than is here{which}: reuse=true takes it all the same")
            print(f"{path}: ran with other code than is here{which}; reuse=strict would refuse it", flush=True)
        return Claim(finished=verdict)
    if fresh:
        if holds:
            print(f"{path}: {verdict['reason']}; it is run anew", flush=True)
        for member in path.iterdir() if holds else ():
            if member.name != LOCK:
                shutil.rmtree(member) if member.is_dir() else member.unlink()
        return Claim()
    return _resume(path, verdict, epoch_ends, holds)


def _resume(path: Path, verdict: dict[str, Any], epoch_ends: bool, holds: bool) -> Claim:
    for unfinished in path.rglob(".*.tmp") if holds else ():  # a killed process removes nothing
        shutil.rmtree(unfinished) if unfinished.is_dir() else unfinished.unlink()
    checkpoint, step, damaged = newest_checkpoint(path / "checkpoints", epoch_ends)
    facts = verdict["facts"]
    before = facts.get("attempt") or {name: facts[name] for name in ("command",) if name in facts}
    entry: dict[str, Any] = {"step": step, "reason": verdict["reason"], **before}
    entry |= {"git": facts["git"]} if facts.get("git") else {}
    entry |= {"ended": verdict["written"]} if facts.get("attempt") else {}
    if damaged:
        entry["damaged"] = damaged
    where = f"continued at step {step} ({checkpoint.name})" if checkpoint else "no checkpoint yet, it starts again"
    notes = "".join(f"; {sentence}" for sentence in damaged)
    if holds:
        print(f"{path}: {verdict['reason']}; {where}{notes}; fresh=true starts anew", flush=True)
    resumed = [*facts.get("resumed", []), entry]
    past = facts.get("out_of_memory", [])
    commit = (facts.get("git") or {}).get("commit")
    known = _identity(path, facts)
    return Claim(None, checkpoint, step, resumed, past, facts.get("command"), known, commit, facts)


def _identity(path: Path, facts: dict[str, Any]) -> Identity:
    """Of runs from before there was such a file, what their verdict says."""
    return read_identity(path) or ({"anchors": {"fingerprint": facts["anchors"]}} if facts.get("anchors") else {})


def check_continued(path: Path, claim: Claim, ours: Identity, criteria: list[str], strict: bool) -> None:
    """That a run goes on as what it was. UserError where data, labels or anchors are others now, and with ``strict``
    where anything is; else what changed (``criteria``: in what it is judged by) is printed, and noted in the last entry
    of ``claim.resumed``, for the verdict."""
    changes = different(claim.identity, ours)
    if parts := _decisive(changes):
        raise UserError(
            f"{path} cannot go on, since it was begun {parts} changed: put back what there was, or start anew with "
            "another run_dir or fresh=true"
        )
    notes = _notes(changes, criteria)
    commit, theirs = git_state().get("commit"), claim.identity.get("commit", {}).get("git", claim.commit)
    if theirs and commit != theirs and ("code" in changes or "code" not in claim.identity):
        which = f"commit {theirs[:9]}, then {commit[:9] if commit else 'none'}"
        notes = [f"{notes[0]} ({which})", *notes[1:]] if "code" in changes else [f"{WORDS['code']}: {which}", *notes]
    if not notes:
        return
    if strict:
        raise UserError(f"{path} would go on with {'; '.join(notes)}: without reuse=strict it does")
    claim.resumed[-1]["changed"] = notes
    told = "; ".join(notes)
    print(f"ATTENTION: {path} goes on at step {claim.step} with {told}; reuse=strict would refuse it", flush=True)


def check_taken(path: Path, changes: dict[str, list[str]], criteria: list[str], strict: bool) -> None:
    """That a finished run may be taken for the one that was asked for: as ``check_continued``."""
    if parts := _decisive(changes):
        raise UserError(f"{path} is a finished run, and since then {parts} changed: choose another run_dir")
    if notes := _notes(changes, criteria):
        if strict:
            raise UserError(f"{path} ran with {'; '.join(notes)}: reuse=true takes it all the same")
        print(f"{path}: ran with {'; '.join(notes)}; reuse=strict would refuse it", flush=True)


def _decisive(changes: dict[str, list[str]]) -> str:
    return " and ".join(f"the {part} ({listed(changes[part])})" for part in DECIDES if part in changes)


def _notes(changes: dict[str, list[str]], criteria: list[str]) -> list[str]:
    notes = [f"{what}: {listed(changes[part])}" for part, what in WORDS.items() if part in changes]
    return [*notes, f"other criteria: {listed(criteria)}"] if criteria else notes
