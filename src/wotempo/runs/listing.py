"""Configurations as flat lists of keys, and what differs between two of them in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Dotted key -> value."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return found


def differing(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """``key: value there, value here`` for each key of two flat configurations that is not the same in both."""
    absent = object()
    return [
        f"{key}: {shown(theirs.get(key, '–'))} there, {shown(ours.get(key, '–'))} here"
        for key in sorted({*theirs, *ours})
        if theirs.get(key, absent) != ours.get(key, absent)
    ]


def shown(value: Any) -> str:
    """As it is typed."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def listed(names: list[str], most: int = 6) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
