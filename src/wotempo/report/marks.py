"""The marks of a run in tables: what its figures must not be taken for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wotempo.records.evidence import changed_midway, ran_other_code

OTHER_CODE, CHANGED = "‡", "§"
MARKS = f"{OTHER_CODE} ran with other code than is here now. {CHANGED} went on with other code or criteria."


def marks(*verdicts: Mapping[str, Any]) -> str:
    """Of runs that make one row, each mark after a space."""
    other = any(ran_other_code(verdict) for verdict in verdicts)
    midway = any(changed_midway(verdict) for verdict in verdicts)
    return (f" {OTHER_CODE}" if other else "") + (f" {CHANGED}" if midway else "")
