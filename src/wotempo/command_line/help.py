"""The help of one command: ``wotempo <command> --help``."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

from wotempo.command_line.keys import composed, keys_of, yaml_comments
from wotempo.command_line.table import NAMES
from wotempo.command_line.words import Option
from wotempo.configs import option_names
from wotempo.program import shell_line


def help_of_folders(module: ModuleType, takes: str, options: Sequence[Option]) -> str:
    """Of a command that takes words and a few options."""
    lines = _head(module, f"{takes}{' [key=value …]' if options else ''}".strip())
    if options:
        rows = [(f"{o.name}={'…' if o.default is None else o.default}", o.kind, o.comment) for o in options]
        lines += ["", "keys:", *_table(rows)]
    return "\n".join(lines)


def help_of_keys(module: ModuleType, config_name: str, schema: type, words: list[str], takes: str = "") -> str:
    """Of a command whose keys are a configuration; what ``words`` choose is shown."""
    values, chosen = composed(config_name, words)
    lines = _head(module, takes or "[key=value …]")
    if chosen:
        lines += ["", "groups, by name:"]
        lines += _table((f"{group}={option}", " | ".join(option_names(group)), "") for group, option in chosen.items())
    keys = keys_of(values, schema, yaml_comments(config_name, chosen))
    return "\n".join([*lines, "", "keys:", *_table(keys)])


def _head(module: ModuleType, takes: str) -> list[str]:
    """The line to type, and the module's docstring."""
    file = Path(str(module.__file__))
    name = NAMES.get(file.stem)
    line = f"{shell_line(name)} {takes}" if name else f"{file.name} {takes}"
    return [line, "", inspect.getdoc(module) or ""]


def _table(rows: Iterable[tuple[str, str, str]]) -> list[str]:
    found = list(rows)
    first, second = (min(max((len(row[i]) for row in found), default=0), 48) for i in (0, 1))
    return [f"  {a:{first}}  {b:{second}}  {'# ' * bool(c)}{c}".rstrip() for a, b, c in found]
