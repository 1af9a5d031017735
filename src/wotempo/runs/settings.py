"""The configuration of a run folder beside the present one: which keys differ, and in what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wotempo.config.schema import RunConfig, typed
from wotempo.config.stored import stored
from wotempo.errors import UserError
from wotempo.runs.identity import FILES
from wotempo.runs.provenance import settings

PLACES = (*FILES, "data.root", "data.maps", "data.anchors", "data.labels", "data.cache")
"""Keys that say where something lies: not the name of a file counts, but its content (wotempo.runs.identity)."""


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
        f"{key}: {_shown(theirs.get(key, '–'))} there, {_shown(ours.get(key, '–'))} here"
        for key in sorted({*theirs, *ours})
        if theirs.get(key, absent) != ours.get(key, absent)
    ]


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def other_settings(run: Path, config: RunConfig, by_place: bool) -> list[str] | None:
    """What differs between the configuration of the folder ``run`` and ``config``, of what changes what is computed.
    ``by_place``: with the keys of PLACES, where no content is known to compare. None where the folder has no
    configuration that can be read."""
    try:
        there = typed(stored(run))
    except UserError:
        return None
    pairs = [flat(settings(of)) for of in (there, config)]
    for pair in pairs:
        for key in PLACES:
            value = pair.pop(key, None)
            if by_place and value is not None:
                pair[key] = str(Path(value).resolve())
    return differing(*pairs)


def other_criteria(run: Path, config: RunConfig) -> list[str]:
    """What differs in the success criteria; none where the folder has no configuration that can be read."""
    try:
        there = typed(stored(run)).acceptance
    except UserError:
        return []
    return differing(flat(there, "acceptance."), flat(config.acceptance, "acceptance."))
