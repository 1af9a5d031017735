"""The outcome of one check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.table import Table
from rich.text import Text

from wotempo.errors import UserError

Status = Literal["ok", "warn", "fail"]
COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@dataclass(frozen=True)
class Finding:
    """``fix`` says what to do where the status is not ok; a failure is something that the run would stumble over."""

    check: str
    status: Status
    found: str
    fix: str = ""


def examined(name: str, check: Callable[[], Finding]) -> Finding:
    """The finding of a check; what it cannot even read is a failure, whose sentence says the fix."""
    try:
        return check()
    except UserError as error:
        return Finding(name, "fail", str(error))


def table(findings: Sequence[Finding]) -> Table:
    view = Table(title="doctor")
    for column in ("check", "", "found", "fix"):
        view.add_column(column, overflow="fold")
    for finding in findings:
        view.add_row(finding.check, Text(finding.status, COLOURS[finding.status]), finding.found, finding.fix)
    return view
