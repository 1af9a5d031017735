"""Single values of a raw log: of the right type and in range, or a TypeError or ValueError that says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


def token(value: Any) -> str:
    """The id of a frame: files and tables are named by it."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ValueError(f"its token is {str(value)[:50]!r}, which must be of letters, digits, - and _")
    return value


def text(value: Any, key: str) -> str:
    """The text of a key that holds one."""
    if not isinstance(value, str):
        raise TypeError(f"{key} is {str(value)[:50]!r}, which must be text")
    return value


def sequence(value: Any, key: str) -> Iterable[Any]:
    """The elements of a key that holds a list."""
    if isinstance(value, str | bytes):  # their elements would be letters
        raise TypeError(f"{key} is {value[:50]!r}, which must be a list")
    return value


def microseconds(value: Any) -> int:
    """A time of a log."""
    if not 0 <= (time := int(value)) < 2**62:
        raise ValueError(f"its timestamp is {time}, which must be microseconds")
    return time


def command(value: Any) -> np.ndarray:
    """A driving command (4,) int64; -1 where the file holds neither 0 nor 1."""
    command = np.array(value).reshape(4)
    if command.dtype.kind not in "iub":
        command = np.array(command, np.float64)
        command[~np.isin(command, (0, 1))] = -1
    return command.astype(np.int64)
