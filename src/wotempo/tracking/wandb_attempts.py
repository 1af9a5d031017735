"""The offline runs of wandb below a folder: one per attempt of a run, and how each ended."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from wotempo.navsim.lock import is_locked
from wotempo.records.reading import read_verdicts
from wotempo.runs.unfinished import LOCK, unfinished_runs
from wotempo.tracking.spared import UNSENT
from wotempo.tracking.wandb_file import records


@dataclass(frozen=True)
class Attempt:
    """``file``: its ``run-<id>.wandb``. ``status``: the verdict in its summary, "" for an evaluation. ``exit_code``:
    None where its process was killed, so that the file has no end. ``skipped``: why it is not to be uploaded."""

    file: Path
    project: str
    job_type: str
    status: str
    exit_code: int | None
    skipped: str = ""

    @property
    def folder(self) -> Path:
        """That of the run: <folder>/wandb/offline-run-…/run-<id>.wandb."""
        return self.file.parents[2]

    @property
    def online(self) -> bool:
        """Whether it was sent as it went, as far as that went."""
        return not self.file.parent.name.startswith("offline-")

    @property
    def marker(self) -> Path:
        """wandb's own, of a run that it uploaded."""
        return self.file.with_suffix(".wandb.synced")

    def description(self, latest: bool) -> str:
        """Kind, status and end of the attempt; for an incomplete one, the command that continues it."""
        known = ", ".join(text for text in (self.job_type, self.status) if text)
        if self.exit_code is not None:
            return f"{known}, exit code {self.exit_code}"
        if not latest:
            return f"{known}, without an end: it was killed, and a later attempt went on"
        verdicts, notes = read_verdicts([self.folder])
        verdict = verdicts.get(self.folder)
        if notes:
            return f"{known}, without an end: it was killed; {notes[0]}"
        if verdict is not None and self.folder in unfinished_runs(self.folder):
            return f"{known}, without an end: {verdict['reason']}; make resume RUN={self.folder}"
        judged = f"; verdict.json says {verdict['status']}" if verdict else ""
        return f"{known}, without an end: it was killed{judged}"


def attempts(root: Path) -> list[Attempt]:
    """Below ``root``, the latest of a run last; of online ones those whose end the service did not take."""
    unsent = [marker.with_name(marker.name.removesuffix(".unsent")) for marker in root.rglob(f"wandb/run-*/*{UNSENT}")]
    return [read_attempt(file) for file in sorted([*root.rglob("wandb/offline-run-*/run-*.wandb"), *unsent])]


def read_attempt(file: Path) -> Attempt:
    found = records(file)
    starts = [record.run for record in found if record.WhichOneof("record_type") == "run"]
    ends = [record.exit.exit_code for record in found if record.WhichOneof("record_type") == "exit"]
    verdicts = [
        item.value_json
        for record in found
        if record.WhichOneof("record_type") == "summary"
        for item in record.summary.update
        if item.key == "verdict" or list(item.nested_key) == ["verdict"]
    ]
    attempt = Attempt(
        file,
        starts[0].project if starts else "",
        starts[0].job_type if starts else "",
        _word(verdicts[-1]) if verdicts else "",
        ends[-1] if ends else None,
    )
    return replace(attempt, skipped=_why_skipped(attempt, bool(starts)))


def _word(text: str) -> str:
    """A JSON string as plain text; as it stands where it is none."""
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def _why_skipped(attempt: Attempt, begun: bool) -> str:
    if attempt.marker.exists():
        return "uploaded before"
    if attempt.exit_code is None and is_locked(attempt.folder / LOCK):
        return "a process is running it"
    return "" if begun else "it was killed before wandb wrote anything"
