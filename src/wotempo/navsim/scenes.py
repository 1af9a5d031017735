"""The scenes of logs: the windows that the community's scene filter takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.files import read_bytes
from wotempo.navsim.index.columns import columns_of, runs_of
from wotempo.navsim.schema import MAX_GAP_S, NUM_FUTURE, NUM_HISTORY, Log, Scene
from wotempo.navsim.text_files import parse_yaml

# Why a token or a window is no scene, as words behind a number.
NO_BOXES = "the logs hold no boxes"
GAP = "across a gap in time"
EDGE = "too near the edge of their log"
ROUTE = "without a route"
RASTER = "off the raster of frame_interval"
BEYOND = "beyond max_scenes of the filter"
NOWHERE = "in none of the logs that are here"
MOST_FRAMES = 10_000  # of a window: no log is longer
_NULL = ("null", "~", "")
_BOOL = {"true": True, "false": False}


@dataclass(frozen=True)
class SceneFilter:
    """NAVSIM's filter: windows of ``num_history`` + ``num_future`` frames start at every ``frame_interval``-th frame
    (None: do not overlap); None as a list or as ``max_scenes`` lets everything through.

    ``require_full_history=False`` adds the windows on the same raster that begin before the log does, and keeps those
    with a gap in their history; the missing frames are then None in ``Scene.history``. The future is always complete.
    """

    log_names: frozenset[str] | None = None
    tokens: frozenset[str] | None = None
    num_history: int = NUM_HISTORY
    num_future: int = NUM_FUTURE
    frame_interval: int | None = 1
    has_route: bool = True
    max_scenes: int | None = None
    require_full_history: bool = True
    repeated: int = 0  # tokens that the list names once more than once

    @classmethod
    def from_yaml(cls, path: Path) -> SceneFilter:
        """Read a ``scene_filter`` yaml as NAVSIM and WoTE ship them.

        Raises UserError for unknown keys and wrong values, naming the file and the key.
        """
        try:
            raw = parse_yaml(read_bytes(path))
        except ValueError as error:
            raise UserError(f"{path}: not a yaml file ({error})") from error
        if not isinstance(raw, dict):
            raise UserError(f"{path}: not a scene filter, which is a mapping of keys")
        fields = {}
        for key, value in raw.items():
            if key in ("_target_", "_convert_"):
                continue
            if key not in _READERS:
                raise UserError(f"{path}: unknown key {key!r}; a scene filter has {sorted(_READERS)}")
            name, read = _READERS[key]
            try:
                fields[name] = read(value)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UserError(f"{path}: {key} cannot be {shortened(value)}") from error
        listed = raw.get("tokens")
        again = len(listed) - len(set(listed)) if isinstance(listed, list) else 0
        return cls(**fields, repeated=again)


@dataclass(frozen=True)
class Search:
    """The scenes of some logs, and what a filter asked for and did not get: ``lost``, reason -> tokens of its list, or,
    of a filter that lists none, windows."""

    scenes: list[Scene]
    lost: dict[str, int]


def find_scenes(logs: Iterable[Log], scene_filter: SceneFilter) -> list[Scene]:
    """The scenes of ``logs`` in their order, as the filter wants them.

    Windows across a gap (> ``MAX_GAP_S``, or time running backwards) are no scenes.
    """
    return search_scenes(logs, scene_filter).scenes


def without_boxes(scenes: Sequence[Scene]) -> bool:
    """Whether not one frame of the scenes is annotated, as in logs of the private test: then nothing can be scored."""
    return all(not frame.annotated for scene in scenes for frame in (scene.current, *scene.future))


def search_scenes(logs: Iterable[Log], scene_filter: SceneFilter) -> Search:
    """``find_scenes``, with the reasons why others are none."""
    wanted, members = scene_filter, list(logs)
    if wanted.log_names is not None:
        members = [log for log in members if log.name in wanted.log_names]
    tokens = None if wanted.tokens is None else frozenset(token.encode() for token in wanted.tokens)
    scenes, gaps = list[Scene](), 0
    for log in members:
        rows = columns_of(log).rows
        chosen = np.arange(len(rows))[_raster(len(rows), wanted)]
        if wanted.has_route:
            chosen = chosen[rows["has_route"][chosen]]
        if tokens is not None:
            chosen = chosen[[token in tokens for token in rows["token"][chosen].tolist()]]
        whole = _without_a_gap(rows, wanted)[chosen]
        if wanted.max_scenes is not None:  # what comes after the last scene is not looked at
            end = int(np.searchsorted(np.cumsum(whole), wanted.max_scenes - len(scenes))) + 1
            chosen, whole = (part[: end * (len(scenes) < wanted.max_scenes)] for part in (chosen, whole))
        gaps += int((~whole).sum())
        scenes += [Scene(log, i, wanted.num_history, wanted.num_future) for i in chosen[whole].tolist()]
    if wanted.tokens is None:
        return Search(scenes, {GAP: gaps} if gaps else {})
    return Search(scenes, _lost_tokens(members, wanted, set(wanted.tokens) - {scene.token for scene in scenes}))


def by_log(scenes: Iterable[Scene]) -> Iterator[tuple[Log, slice, np.ndarray]]:
    """Each log with the neighbouring scenes of it: their slice, and the places (n,) of their current frames."""
    begin = 0
    for _, of_log in groupby(scenes, key=lambda scene: id(scene.log)):
        members = list(of_log)
        yield members[0].log, slice(begin, begin + len(members)), np.array([scene.index for scene in members])
        begin += len(members)


def locations_of(scenes: Iterable[Scene]) -> set[str]:
    """The locations of the current frames."""
    found = set[str]()
    for log, _, current in by_log(scenes):
        columns = columns_of(log)
        found |= {columns.places[place] for place in np.unique(columns.rows["place"][current])}
    return found


def require_own_tokens(scenes: Iterable[Scene]) -> None:
    """UserError where scenes of two logs have the same token, by which scores, plans and labels are kept."""
    owner: dict[str, str] = {}
    for scene in scenes:
        if (log := owner.setdefault(scene.token, scene.log.name)) != scene.log.name:
            raise UserError(
                f"the token {scene.token} is that of a scene of log {log} and of one of log {scene.log.name}: leave "
                "one of the two out, their scores could not be told apart"
            )


def _raster(frames: int, wanted: SceneFilter) -> slice:
    """Places of the frames that a window may have as its current one."""
    interval = wanted.frame_interval or wanted.num_history + wanted.num_future
    first = wanted.num_history - 1
    if not wanted.require_full_history:
        first %= interval
    return slice(first, max(frames - wanted.num_future, 0), interval)


def _without_a_gap(rows: np.ndarray, wanted: SceneFilter) -> np.ndarray:
    """(F,) bool: frames whose window has a whole future, and a whole history where it is asked for."""
    before, after = runs_of(rows, MAX_GAP_S)
    return (after >= wanted.num_future) & (not wanted.require_full_history or before >= wanted.num_history - 1)


def _lost_tokens(logs: list[Log], wanted: SceneFilter, tokens: set[str]) -> dict[str, int]:
    """Why the filter's ``tokens`` are no scenes. Most often there are none, and nothing is looked at."""
    lost: Counter[str] = Counter()
    left = {token.encode() for token in tokens}
    for log in logs if left else ():
        rows = columns_of(log).rows
        raster, whole = range(len(rows))[_raster(len(rows), wanted)], _without_a_gap(rows, wanted)
        for index, token in enumerate(rows["token"].tolist()):
            if token not in left:
                continue
            left.remove(token)
            if not raster.start <= index < len(rows) - wanted.num_future:
                lost[EDGE] += 1
            elif index not in raster:
                lost[RASTER] += 1
            elif wanted.has_route and not rows["has_route"][index]:
                lost[ROUTE] += 1
            else:
                lost[BEYOND if whole[index] else GAP] += 1
    if left:
        lost[NOWHERE] = len(left)
    return dict(lost)


def _names(value: Any) -> frozenset[str] | None:
    if value in _NULL:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError("a list of names is needed")
    return frozenset(value)


def _count(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not least <= (count := int(value)) <= MOST_FRAMES:
            raise ValueError(f"{count} is out of range")
        return count

    return read


def _optional(read: Callable[[Any], int]) -> Callable[[Any], int | None]:
    return lambda value: None if value in _NULL else read(value)


_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "log_names": ("log_names", _names),
    "tokens": ("tokens", _names),
    "num_history_frames": ("num_history", _count(1)),
    "num_future_frames": ("num_future", _count(0)),
    "frame_interval": ("frame_interval", _optional(_count(1))),
    "has_route": ("has_route", lambda value: _BOOL[value.lower()]),
    "max_scenes": ("max_scenes", _optional(int)),
}
