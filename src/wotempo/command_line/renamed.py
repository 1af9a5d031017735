"""Keys of commands that have another name today: the former one is understood, so that scripts go on working."""

from __future__ import annotations

SPLIT = {"stage": "split"}
RENAMED = {"evaluate": SPLIT, "drive": SPLIT, "probe_layout": SPLIT, "labels": {"stages": "splits"}}


def with_present_names(config_name: str, argv: list[str]) -> list[str]:
    """The arguments of the command that composes ``config_name``, with every ``key=value`` under the present key."""
    renamed = RENAMED.get(config_name, {})
    return [
        f"{renamed[key]}={value}" if mark and key in renamed else word
        for word in argv
        for key, mark, value in [word.partition("=")]
    ]
