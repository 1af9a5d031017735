"""Work on many scenes, one by one: a scene that fails costs itself alone, is named once and counted by its cause."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from wotempo.errors import UserError

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R")
OF_THE_MACHINE = (MemoryError, OSError)  # a full memory or disk is no scene's fault
OF_THE_PROGRAM = (NameError, ImportError, SyntaxError)  # no values of a scene can cause them
_VARIES = re.compile(r"\b[0-9a-f]{8,}\b|-?\d+(\.\d+)?(e[+-]?\d+)?")  # tokens, tracks, coordinates, counts


class SceneError(UserError):
    """A scene that cannot be used. ``reason`` names neither its token nor its log: equal causes have equal reasons."""

    def __init__(self, token: str, log: str, reason: str) -> None:
        super().__init__(token, log, reason)
        self.token, self.log, self.reason = token, log, reason

    def __str__(self) -> str:
        return f"scene {self.token} of log {self.log}: {self.reason}"


def attempted(work: Callable[[], T]) -> tuple[T | None, str]:
    """(what ``work`` on one scene returns, ""), or (None, the reason why it failed): whatever a library raises about
    the values of one scene. A full memory or disk, what no value can cause, and what ends the process, is raised."""
    try:
        return work(), ""
    except SceneError as error:
        return None, error.reason
    except UserError as error:
        return None, str(error)
    except (*OF_THE_MACHINE, *OF_THE_PROGRAM):
        raise
    except Exception as error:  # GEOS, LAPACK, numpy and scipy each have their own
        return None, f"{type(error).__name__}: {str(error).strip() or 'no text'} ({_place(error)})"


def each(items: Mapping[K, T], work: Callable[[T], R]) -> tuple[dict[K, R], dict[K, str]]:
    """``work`` on each item by its token -> results of those that went well, and the reasons of the others."""
    done, failed = dict[K, R](), dict[K, str]()
    for token, item in items.items():
        result, reason = attempted(partial(work, item))
        if result is None:
            failed[token] = reason
        else:
            done[token] = result
    return done, failed


@dataclass(frozen=True)
class Cause:
    """Scenes that failed for one reason; ``reason`` and ``first`` are those of the first of them."""

    count: int
    first: str
    reason: str

    def __str__(self) -> str:
        return f"{self.count}, first {self.first}: {self.reason}"


def by_cause(failed: Iterable[tuple[str, str]]) -> list[Cause]:
    """(token, reason) of each scene that failed -> its causes, the most frequent first. Reasons that differ in numbers
    and names of tracks only are one cause."""
    found: dict[str, Cause] = {}
    for token, reason in failed:
        key = _VARIES.sub("#", reason)
        cause = found.get(key, Cause(0, token, reason))
        found[key] = Cause(cause.count + 1, cause.first, cause.reason)
    return sorted(found.values(), key=lambda cause: -cause.count)


def _place(error: Exception) -> str:
    """File and line of this package in which a library's error arose."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "wotempo" in frame.filename and not frame.filename.endswith("per_scene.py")]
    frame = (own or frames)[-1]
    return f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
