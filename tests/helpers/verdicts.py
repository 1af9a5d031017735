"""Reading a verdict in tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wotempo.records.seal import SEAL, seal_of


def failed(verdict: dict[str, Any]) -> set[str]:
    return {c["name"] for c in verdict["criteria"] if c["status"] == "fail"}


def criterion(verdict: dict[str, Any], name: str) -> dict[str, Any]:
    return next(c for c in verdict["criteria"] if c["name"] == name)


def as_if_killed(run: Path) -> None:
    """The verdict of a finished run becomes that of one which was killed at its end."""
    file = run / "verdict.json"
    killed = {**json.loads(file.read_text()), "status": "incomplete", "reason": "killed"}
    file.write_text(json.dumps({**killed, SEAL: seal_of(killed)}))


def statuses(verdict: dict[str, Any]) -> dict[str, str]:
    return {c["name"]: c["status"] for c in verdict["criteria"]}


def blamed(reason: str, criteria: Iterable[str]) -> str:
    """The criterion that the reason of a verdict names first; '' where it names none."""
    known = set(criteria)
    return next((word for word in reason.replace(":", " ").split() if word in known), "")
