"""The values of ``data.missing``, and the two keys that said the same before."""

from __future__ import annotations

from typing import Any

ERROR, DROP, MASK = MISSING = ("error", "drop", "mask")
BEFORE: dict[str, dict[str, str]] = {
    ERROR: {"missing": "error", "missing_history": "error"},
    DROP: {"missing": "skip", "missing_history": "error"},
    MASK: {"missing": "error", "missing_history": "mask"},
}


def present(data: dict[str, Any]) -> dict[str, Any]:
    """The section ``data`` of a run from before, with the present key in place of the two."""
    rest = {key: value for key, value in data.items() if key != "missing_history"}
    if data.get("missing_history") == "mask":
        return {**rest, "missing": MASK}
    return {**rest, "missing": DROP} if data.get("missing") == "skip" else rest
