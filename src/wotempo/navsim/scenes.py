"""The scenes of logs: the windows that the community's scene filter takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wotempo.errors import UserError
from wotempo.navsim.files import read_bytes
from wotempo.navsim.schema import NUM_FUTURE, NUM_HISTORY, Log, Scene

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

    @classmethod
    def from_yaml(cls, path: Path) -> SceneFilter:
        """Read a ``scene_filter`` yaml as NAVSIM and WoTE ship them.

        Raises UserError for unknown keys and wrong values, naming the file and the key.
        """
        try:
            # As text: an unquoted token of digits is a number to every other loader.
            raw = yaml.load(read_bytes(path), getattr(yaml, "CBaseLoader", yaml.BaseLoader))
        except yaml.YAMLError as error:
            raise UserError(f"{path}: not a yaml file ({' '.join(str(error).split())})") from error
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
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path}: {key} cannot be {str(value)[:50]!r}") from error
        return cls(**fields)


def find_scenes(logs: Iterable[Log], scene_filter: SceneFilter) -> list[Scene]:
    """The scenes of ``logs`` in their order, as the filter wants them.

    Windows across a gap (> ``Scene.max_gap_s``, or time running backwards) are no scenes.
    """
    scenes: list[Scene] = []
    for log in logs:
        if scene_filter.log_names is not None and log.name not in scene_filter.log_names:
            continue
        for scene in _windows(log, scene_filter):
            if scene_filter.max_scenes is not None and len(scenes) >= scene_filter.max_scenes:
                return scenes
            scenes.append(scene)
    return scenes


def _windows(log: Log, wanted: SceneFilter) -> Iterator[Scene]:
    interval = wanted.frame_interval or wanted.num_history + wanted.num_future
    first = wanted.num_history - 1
    if not wanted.require_full_history:
        first %= interval
    for index in range(first, len(log.frames) - wanted.num_future, interval):
        frame = log.frames[index]
        if wanted.has_route and not frame.roadblock_ids:
            continue
        if wanted.tokens is not None and frame.token not in wanted.tokens:
            continue
        scene = Scene(log, index, wanted.num_history, wanted.num_future)
        if len(scene.future) < wanted.num_future:
            continue
        if wanted.require_full_history and scene.history[0] is None:
            continue
        yield scene


def _names(value: Any) -> frozenset[str] | None:
    if value in _NULL:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError("a list of names is needed")
    return frozenset(value)


def _optional_int(value: Any) -> int | None:
    return None if value in _NULL else int(value)


_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "log_names": ("log_names", _names),
    "tokens": ("tokens", _names),
    "num_history_frames": ("num_history", int),
    "num_future_frames": ("num_future", int),
    "frame_interval": ("frame_interval", _optional_int),
    "has_route": ("has_route", lambda value: _BOOL[value.lower()]),
    "max_scenes": ("max_scenes", _optional_int),
}
