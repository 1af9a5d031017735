"""Keys of commands that have another name today: the former one is understood, so that scripts go on working."""

from __future__ import annotations

SPLIT = {"stage": "split"}
RENAMED = {"evaluate": SPLIT, "drive": SPLIT, "probe_layout": SPLIT, "labels": {"stages": "splits"}}


# Of all commands that read a dataset: two keys that are one today (config.missing).
HISTORY_MASKED = "data.missing_history=mask"
SKIPPED = "data.missing=skip"
WORDS = {SKIPPED: ["data.missing=drop"], HISTORY_MASKED: ["data.missing=mask"], "data.missing_history=error": []}


def with_present_names(config_name: str, argv: list[str]) -> list[str]:
    """The arguments of the command that composes ``config_name``, with every ``key=value`` under the present key."""
    renamed = RENAMED.get(config_name, {})
    words = WORDS | ({SKIPPED: []} if HISTORY_MASKED in argv else {})
    argv = [word for given in argv for word in words.get(given, [given])]
    return [
        f"{renamed[key]}={value}" if mark and key in renamed else word
        for word in argv
        for key, mark, value in [word.partition("=")]
    ]
