"""Logs that are not held: what the index has of them is at hand, the rest is read from the file when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.files import Stamp, sha256_of
from wotempo.navsim.index.columns import NONE, Columns, columns_of, one_hot
from wotempo.navsim.logs import read_log
from wotempo.navsim.schema import Frame, Log

HELD = 2  # logs in memory at a time, of a process: work goes through scenes log by log


class StoredLog(Log):
    """A log in the file ``path``, of which ``columns`` are at hand. It travels to other processes as a path."""

    path: Path
    stamp: Stamp
    _columns: Columns | None

    content: str  # sha256 of the file
    file_names: Callable[[], np.ndarray] | None  # -> (F, 4) bytes, where they are kept

    def __init__(
        self,
        path: Path,
        split: str,
        stamp: Stamp,
        columns: Columns | None = None,
        unknown_velocities: int = 0,
        content: str = "",
        file_names: Callable[[], np.ndarray] | None = None,
    ) -> None:
        self.__dict__.update(name=path.stem, split=split, unknown_velocities=unknown_velocities)
        self.__dict__.update(path=path, stamp=stamp, content=content, _columns=columns, file_names=file_names)

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredLog, (
            self.path,
            self.split,
            self.stamp,
            None,
            self.unknown_velocities,
            self.content,
            self.file_names,
        )

    @property
    def whole(self) -> Log:
        """The log as its file holds it. UserError where it is another file by now."""
        return _read(self.path, self.split, self.stamp, self.content)

    def require_content(self) -> None:
        """UserError where the file holds something else than what was indexed; its state is not believed."""
        _require_content(self.path, self.content)

    @property
    def columns(self) -> Columns:
        if self._columns is None:
            self.__dict__["_columns"] = columns_of(self.whole)
        assert self._columns is not None
        return self._columns

    @property
    def frames(self) -> Sequence[Frame]:  # type: ignore[override]
        return self.whole.frames if self._columns is None else StoredFrames(self)

    def token_of(self, place: int) -> str:
        return self.columns.rows["token"][place].decode()

    def for_a_task(self, first: int, last: int) -> tuple[Log, int]:
        return self, 0


def contents(logs: Iterable[Log]) -> dict[str, str]:
    """ "split/log" -> sha256 of its file, of those logs of which the index knows it."""
    found = {id(log): log for log in logs}.values()
    return {f"{log.split}/{log.name}": log.content for log in found if isinstance(log, StoredLog) and log.content}


@columns_of.register
def _(log: StoredLog) -> Columns:
    return log.columns


@lru_cache(HELD)
def _read(path: Path, split: str, stamp: Stamp, content: str) -> Log:
    log = read_log(path, split)
    if Stamp.of(path) != stamp:
        raise UserError(f"{path}: was changed while it was in use: start the command again")
    _require_content(path, content)
    return log


def _require_content(path: Path, content: str) -> None:
    if content and sha256_of(path) != content:
        raise UserError(
            f"{path}: holds something else than the log of its name, size and time that was read before: `touch` it "
            "and start again, what was made of it is then made anew"
        )


class StoredFrames(Sequence[Frame]):
    """The frames of a ``StoredLog``."""

    def __init__(self, log: StoredLog) -> None:
        self.log = log

    def __len__(self) -> int:
        return len(self.log.columns.rows)

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...

    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        places = range(len(self))[index]
        return (
            [StoredFrame(self.log, i) for i in places] if isinstance(places, range) else StoredFrame(self.log, places)
        )

    def __iter__(self) -> Iterator[Frame]:
        return (StoredFrame(self.log, i) for i in range(len(self)))


class StoredFrame(Frame):
    """A frame of a ``StoredLog``: columns as far as they go, the other fields from the file, which is then read."""

    _log: StoredLog
    _place: int

    def __init__(self, log: StoredLog, place: int) -> None:
        defect = log.columns.rows["defect"][place]
        self.__dict__.update(_log=log, _place=place, log_name=log.name)
        self.__dict__["defect"] = None if defect == NONE else log.columns.defects[defect]

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredFrame, (self._log, self._place)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        read = _COLUMNS.get(name)
        value = None if read is None else read(self._log.columns, self._place)
        if value is None:  # not kept here: boxes are what fills a memory
            return getattr(self._log.whole.frames[self._place], name)
        self.__dict__[name] = value
        return value

    @property
    def annotated(self) -> bool:
        return bool(self._log.columns.rows["annotated"][self._place])

    @property
    def sensor_files(self) -> tuple[str, ...]:
        if self._log.file_names is None:
            return self._log.whole.frames[self._place].sensor_files
        return tuple(name.decode() for name in self._log.file_names()[self._place].tolist())

    @property
    def has_route(self) -> bool:
        return bool(self._log.columns.rows["has_route"][self._place])


def _copied(name: str) -> Callable[[Columns, int], np.ndarray]:
    return lambda columns, place: columns.rows[name][place].copy()


def _command(columns: Columns, place: int) -> np.ndarray | None:
    command = int(columns.rows["command"][place])
    return None if command == NONE else one_hot(command)


_COLUMNS: dict[str, Callable[[Columns, int], Any]] = {
    "token": lambda columns, place: columns.rows["token"][place].decode(),
    "timestamp_us": lambda columns, place: int(columns.rows["timestamp_us"][place]),
    "map_location": lambda columns, place: columns.places[columns.rows["place"][place]],
    "command": _command,
    **{name: _copied(name) for name in ("pose", "velocity", "acceleration")},
}
