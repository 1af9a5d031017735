"""The seal of a verdict: whether its file is what the run wrote, and whether its parts agree.

A seal is no signature: who writes a new one deceives it. It finds edits, torn copies and tools that rewrite the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "seal"


def seal_of(verdict: Mapping[str, Any]) -> str:
    """16 hex digits over everything in the verdict but the seal itself, whatever the order of its keys."""
    rest = {key: value for key, value in verdict.items() if key != SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def alteration(verdict: Mapping[str, Any]) -> str:
    """A sentence about what was changed since the run wrote this verdict; '' where nothing is. Verdicts of earlier
    versions have no seal: of these only status and criteria are compared."""
    if SEAL in verdict and verdict[SEAL] != seal_of(verdict):
        return "verdict.json was changed after the run wrote it: its seal does not fit"
    if SEAL not in verdict and "evidence" in verdict:
        return "verdict.json was changed after the run wrote it: its seal is gone"
    if verdict["status"] != "accepted":
        return ""
    failed = [c["name"] for c in verdict.get("criteria", []) if _counts(c)]
    if failed:
        return f"verdict.json says accepted, and that {', '.join(failed)} was not passed"
    return ""


def _counts(criterion: Mapping[str, Any]) -> bool:
    undecided = criterion["status"] in ("inconclusive", "pending") and not criterion.get("allow_inconclusive", False)
    return criterion.get("policy", "fail") == "fail" and (criterion["status"] == "fail" or undecided)
