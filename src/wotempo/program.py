"""Command lines of this installation that a user can type in the shell as it is, with nothing activated before."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from wotempo.errors import UserError

NAME = "wotempo"
OLD_START = ("python", "-m")  # as runs recorded their command before there was a console script
OLD_MODULE = "wotempo.commands."


def program() -> list[str]:
    """The words that start this installation's command line: the plain name where the shell finds this very program,
    else its path, relative below the current directory; ``<python> -m wotempo`` where it was installed without."""
    python = Path(sys.executable)
    script = python.with_name(NAME)
    if not script.is_file():
        return [_path(python), "-m", NAME]
    found = shutil.which(NAME)
    return [NAME] if found is not None and os.path.samefile(found, script) else [_path(script)]


def shell_line(command: str, *words: str) -> str:
    """``command`` with its arguments, and further ``words``, as one line for a shell."""
    return shlex.join([*program(), command, *words])


def by_path(command: str, *words: str) -> list[str]:
    """The same for other processes, queues and machines: by the absolute path of this Python."""
    return [sys.executable, "-m", NAME, command, *words]


def stored(command: str, arguments: Sequence[str]) -> str:
    """A command line as a run records it: it names no place, so that it can be typed wherever the run is read."""
    return shlex.join([NAME, command, *arguments])


def words_of(line: str) -> tuple[str, list[str]]:
    """The command and the arguments of a recorded command line, of today's form or the older one. UserError where it
    is neither."""
    try:
        words = shlex.split(line)
    except ValueError:  # a quote that is not closed
        words = []
    if tuple(words[:2]) == OLD_START and len(words) > 2 and words[2].startswith(OLD_MODULE):
        return words[2].removeprefix(OLD_MODULE).replace("_", "-"), words[3:]
    if len(words) > 1 and words[0] == NAME:
        return words[1], words[2:]
    raise UserError(f"a run records the command '{line}', which is none of {NAME}: its verdict.json is damaged")


def shell_line_of(line: str | None) -> str:
    """A recorded command line as one that can be typed here; "not recorded" where there is none."""
    if line is None:
        return "not recorded"
    command, arguments = words_of(line)
    return shell_line(command, *arguments)


def _path(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
