"""Reading a verdict in tests."""

from __future__ import annotations

from typing import Any


def failed(verdict: dict[str, Any]) -> set[str]:
    return {c["name"] for c in verdict["criteria"] if c["status"] == "fail"}


def statuses(verdict: dict[str, Any]) -> dict[str, str]:
    return {c["name"]: c["status"] for c in verdict["criteria"]}
