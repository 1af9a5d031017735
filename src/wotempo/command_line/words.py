"""The words of commands that take folders and a few options, as ``folder … name=value …``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wotempo.errors import UserError, nearest


@dataclass(frozen=True)
class Option:
    """A ``name=value`` of a command without a configuration; ``default`` as it would be typed, if there is one."""

    name: str
    kind: str
    default: str | None
    comment: str


def folders_and_options(words: Sequence[str], options: Sequence[Option]) -> tuple[list[Path], dict[str, str]]:
    """Folders of sweeps hold an "=", too: what exists, or is no name before its "=", is a folder. UserError where a
    folder is missing or an option is unknown or given twice."""
    folders, given = [], {}
    names = [option.name for option in options]
    for word in words:
        name, sign, value = word.partition("=")
        if word.startswith("-"):
            known = " ".join(f"{name}=…" for name in names)
            raise UserError(f"there is no option '{word}': name folders of runs, and of options {known}")
        if not sign or not name.isidentifier() or Path(word).exists():
            folders.append(Path(word))
        elif name not in names:
            raise UserError(f"there is no option '{name}': {nearest(name, names)}")
        elif name in given:
            raise UserError(f"{name} is given twice: say it once")
        else:
            given[name] = value
    if missing := [folder for folder in folders if not folder.is_dir()]:
        raise UserError(f"there is no folder {missing[0]}: name folders of runs or sweeps")
    return folders, given
