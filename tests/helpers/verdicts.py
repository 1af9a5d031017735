"""Reading a verdict in tests."""

from __future__ import annotations

from typing import Any


def failed(verdict: dict[str, Any]) -> set[str]:
    return {c["name"] for c in verdict["criteria"] if c["status"] == "fail"}


def criterion(verdict: dict[str, Any], name: str) -> dict[str, Any]:
    return next(c for c in verdict["criteria"] if c["name"] == name)


def statuses(verdict: dict[str, Any]) -> dict[str, str]:
    return {c["name"]: c["status"] for c in verdict["criteria"]}
