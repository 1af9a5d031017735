"""The words of commands that take folders and a few options, as ``folder … name=value …``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wotempo.errors import UserError, require_named


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _count(text: str) -> int:
    if not text.isdigit():
        raise ValueError(text)
    return int(text)


# By the kind of an option: what makes its value of a text, and what else to type where that fails.
READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "bool": (_truth, "true or false"),
    "int": (_count, "0 or more"),
    "float": (float, "a number, such as 0.02"),
}


@dataclass(frozen=True)
class Option:
    """A ``name=value`` of a command without a configuration. ``kind``: str, path or one of ``READERS``; ``default`` as
    it would be typed, if there is one. Of a bool ``--name`` says the same as ``name=true``."""

    name: str
    kind: str
    default: str | None
    comment: str

    def read(self, text: str | None) -> Any:
        """The value, a Path of a path; None for None. UserError where the text is of another kind."""
        if text is None or self.kind == "str":
            return text
        if self.kind == "path":
            return Path(text)
        reader, wanted = READERS[self.kind]
        try:
            return reader(text)
        except (KeyError, ValueError):
            raise UserError(f"{self.name} is '{text}': set it to {wanted}") from None


def folders_and_options(
    words: Sequence[str], options: Sequence[Option], takes_folders: bool = True
) -> tuple[list[Path], dict[str, Any]]:
    """The folders, and the value of every option by its name: as given, its default, or None.

    Folders of sweeps hold an "=", too: what exists, or is no name before its "=", is a folder. UserError where a folder
    is missing, an option is unknown or given twice, or a value is of another kind."""
    folders, given = [], dict[str, str]()
    names = [option.name for option in options]
    flags = {f"--{option.name.replace('_', '-')}": f"{option.name}=true" for option in options if option.kind == "bool"}
    for word in (flags.get(word, word) for word in words):
        name, sign, value = word.partition("=")
        if word.startswith("-"):
            known = " ".join(f"{name}=…" for name in names)
            raise UserError(f"there is no option '{word}': name folders of runs, and of options {known}")
        if takes_folders and (not sign or not name.isidentifier() or Path(word).exists()):
            folders.append(Path(word))
            continue
        require_named("option", name, names)
        if name in given:
            raise UserError(f"{name} is given twice: say it once")
        given[name] = value
    if missing := [folder for folder in folders if not folder.is_dir()]:
        raise UserError(f"there is no folder {missing[0]}: name folders of runs or sweeps")
    return folders, {option.name: option.read(given.get(option.name, option.default)) for option in options}
