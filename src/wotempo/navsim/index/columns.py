"""The columns of a log: one row a frame, of what scenes are found by and windows are made of. Boxes, cameras, routes
and lights stay in the log's file."""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

import numpy as np

from wotempo.navsim.schema import COMMANDS, Defect, Log

NONE = -1


class Columns(NamedTuple):
    """``rows`` (F,) of ``row_dtype``. Its fields ``place`` and ``defect`` are positions in ``places`` (names of
    locations) and ``defects``, NONE where a frame has no defect; ``command`` is one in COMMANDS, NONE where it is none
    of them alone."""

    rows: np.ndarray
    places: tuple[str, ...]
    defects: tuple[Defect, ...]


def row_dtype(token_width: int) -> np.dtype:
    """Of a table whose tokens have at most so many letters. Units as in ``navsim.schema.Frame``."""
    return np.dtype(
        [
            ("token", f"S{token_width}"),
            ("timestamp_us", "<i8"),
            ("pose", "<f8", (3,)),
            ("velocity", "<f8", (2,)),
            ("acceleration", "<f8", (2,)),
            ("command", "i1"),
            ("place", "<i2"),
            ("defect", "<i2"),
            ("has_route", "?"),
            ("annotated", "?"),
        ]
    )


@singledispatch
def columns_of(log: Log) -> Columns:
    """Those of a log that was read; of a stored one they are at hand."""
    frames = log.frames
    rows = np.zeros(len(frames), row_dtype(max(len(frame.token) for frame in frames)))
    places = {place: number for number, place in enumerate(dict.fromkeys(frame.map_location for frame in frames))}
    defects = [frame.defect for frame in frames if frame.defect is not None]
    rows["token"] = [frame.token.encode() for frame in frames]
    for name in ("timestamp_us", "pose", "velocity", "acceleration", "has_route", "annotated"):
        rows[name] = [getattr(frame, name) for frame in frames]  # a column at once: a third of the work of rows
    rows["command"] = [_position(frame.command) for frame in frames]
    rows["place"] = [places[frame.map_location] for frame in frames]
    faulty = np.array([frame.defect is not None for frame in frames])
    rows["defect"] = np.where(faulty, np.cumsum(faulty) - 1, NONE)
    return Columns(rows, tuple(places), tuple(defects))


def _position(command: np.ndarray) -> int:
    """Of the one in a one-hot command."""
    place = int(command.argmax())
    return place if (command == one_hot(place)).all() else NONE


def one_hot(place: int) -> np.ndarray:
    """(4,) int64."""
    return np.eye(len(COMMANDS), dtype=np.int64)[place]


class Runs(NamedTuple):
    """For each frame (F,) of a log how many frames before it and after it belong to the same run without a gap."""

    before: np.ndarray
    after: np.ndarray


def runs_of(rows: np.ndarray, max_gap_s: float) -> Runs:
    """A gap is a step back in time, or one of more than ``max_gap_s``."""
    gap_us = np.diff(rows["timestamp_us"])
    starts = np.r_[True, (gap_us <= 0) | (gap_us > max_gap_s * 1e6), True]
    places, edges = np.arange(len(rows)), np.flatnonzero(starts)
    run = np.searchsorted(edges, places, "right")
    return Runs(places - edges[run - 1], edges[run] - places - 1)
