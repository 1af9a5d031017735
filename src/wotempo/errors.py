"""The one error that a user can mend, and what it says of a misspelt name or a number that is too small."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin


class UserError(Exception):
    """Bad input: one clear sentence that names what is wrong and how to mend it. Commands print it and exit 2."""

    exit_code = 2


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """'did you mean …?' for a name at least so similar (0: whatever is nearest), or the list of what is known."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=cutoff)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"


def unknown_key(key: str, known: Iterable[str], place: str = "") -> UserError:
    """The error for a key of the configuration that is none of ``known``; ``place``: the dotted name before it."""
    return UserError(f"unknown config key '{place}{key}': {nearest(key, known)}")


def require_named(what: str, name: str, known: Collection[str]) -> None:
    """UserError with the nearest name where there is no ``what`` of this name."""
    if name not in known:
        raise UserError(f"there is no {what} '{name}': {nearest(name, known)}")


def require_value(key: str, value: str, known: Collection[str]) -> None:
    """UserError with the nearest valid value where ``value``, of the configuration's ``key``, is none."""
    if value not in known:
        raise UserError(f"{key} is '{value}': {nearest(value, known)}")


def kinds_wanted(value: Any, hint: Any) -> str:
    """The kinds of plain values that a type hint takes, as words, where ``value`` is of none of them; else nothing."""
    wanted = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if any(_is_of(value, kind) for kind in wanted):
        return ""
    return " or ".join(word for kind in wanted for word in _words(kind))


def _of_many(hint: Any) -> bool:
    origin = get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Iterable)


def _is_of(value: Any, kind: Any) -> bool:
    """By the very type, since Python counts True as an int; only a whole number may stand for a float."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if _of_many(kind):
        return isinstance(value, list | tuple)
    return type(value) is kind or (type(value) is int and kind is float)


def _words(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return list(map(str, get_args(kind)))
    if _of_many(kind):
        return ["a list"]
    return ["null" if kind is NoneType else getattr(kind, "__name__", str(kind))]


_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=@,-]{0,119}")


def require_name(key: str, name: str) -> None:
    """UserError where ``name`` cannot be the name of a folder, of a job and of a row everywhere: it leads out of its
    folder, begins like an option, or has a blank, a line break or another sign that shells and tables read."""
    if not _FOLDER_NAME.fullmatch(name):
        raise UserError(
            f"{key} is {name[:80]!r}: give letters, digits and . _ + = @ , - (at most 120, beginning with a letter or "
            "digit)"
        )


def require_least(least: int, config: object, *keys: str, place: str = "") -> None:
    """UserError for the first of ``keys``, dotted names in ``config``, whose number is below ``least``; None is none.
    ``place``: the dotted name of ``config`` in the configuration."""
    for key in keys:
        value = attrgetter(key)(config)
        if value is not None and value < least:
            raise UserError(f"{place}{key} is {value}: set it to {least} or more")
