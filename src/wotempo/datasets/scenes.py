"""The scenes of a split: the logs that belong to it, and the windows of them that the scene filter takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wotempo.config.missing import ERROR
from wotempo.config.schema import SplitConfig
from wotempo.datasets.base import Dataset, Progress, cache_root
from wotempo.datasets.coverage import Coverage
from wotempo.errors import UserError
from wotempo.maps import read_map
from wotempo.navsim import DataPaths, Log, Scene, SceneFilter, log_paths
from wotempo.navsim.dataset import logs_here
from wotempo.navsim.files import state_of
from wotempo.navsim.index.columns import columns_of
from wotempo.navsim.index.logs import index_logs, index_readable
from wotempo.navsim.scenes import locations_of, require_own_tokens, search_scenes
from wotempo.navsim.schema import Defect
from wotempo.navsim.text_files import parse_yaml

MAPLESS = "whose map cannot be read"  # a reason of coverage


class Found(NamedTuple):
    """The scenes of a split, and what of it is not here."""

    scenes: list[Scene]
    coverage: Coverage


def split_scenes(dataset: Dataset, paths: DataPaths, split: str, progress: Progress) -> list[Scene]:
    """The scenes of ``find_split``, for commands that keep no record; prints what is not here."""
    found = find_split(dataset, paths, split, progress)
    found.coverage.say()
    return found.scenes


def find_split(dataset: Dataset, paths: DataPaths, split: str, progress: Progress, keep: bool = True) -> Found:
    """The scenes of "train", "val" or "test", in the order of their logs' names. UserError where there are none.
    Without ``keep`` nothing is written: the index of logs is used as far as it goes."""
    chosen: SplitConfig = getattr(dataset.data, split)
    wanted = SceneFilter.from_yaml(Path(chosen.scene_filter)) if chosen.scene_filter else SceneFilter()
    names, missing = _log_names(dataset, paths, split, wanted.log_names)
    cache, some = cache_root(dataset.data, dataset.workspace, paths), dataset.data.missing != ERROR
    report = partial(progress, f"read {split} logs")
    how = (chosen.split, cache, dataset.data.prepare_workers, report, keep, dataset.data.recheck)
    unread: dict[str, str] = {}
    if some:
        files, missing = _files_here(paths, chosen.split, names, missing)
        logs, unread = index_readable(files, *how)
    else:
        logs = index_logs(log_paths(paths, chosen.split, names), *how)
    everywhere = replace(wanted, log_names=None, require_full_history=dataset.data.full_history_only)
    found = search_scenes(logs, everywhere)
    require_own_tokens(found.scenes)
    scenes, faults = _without_faults(logs, found.scenes)
    if some:
        scenes, unmapped = _with_maps(paths, scenes)
        faults |= unmapped
    coverage = Coverage(
        split,
        found=len(scenes),
        listed=None if wanted.tokens is None else len(wanted.tokens),
        lost=found.lost | faults,
        unknown_velocities=sum(log.unknown_velocities for log in logs),
        here=tuple(sorted(f.stem for f in files)) if some else () if names is None else tuple(sorted(names)),
        missing=missing,
        unread=unread,
        repeated=wanted.repeated,
        narrowed=names is not None and (wanted.log_names is None or len(names) + len(missing) < len(wanted.log_names)),
    )
    if not scenes:
        why = f" ({coverage.sentence})" if coverage.sentence else ""
        raise UserError(f"no scenes for {split}: check data.{split}.split, its log list and its scene filter{why}")
    return Found(spread(scenes, chosen.max_scenes), coverage)


def _files_here(
    paths: DataPaths, split: str, names: frozenset[str] | None, missing: tuple[str, ...]
) -> tuple[list[Path], tuple[str, ...]]:
    """The files of the logs that are here, and the names of those that are not."""
    present = {name: file for name, file in logs_here(paths, split).items() if state_of(file) is not None}
    wanted = present.keys() if names is None else names
    lost = {name for name in wanted if name not in present}
    return [present[name] for name in sorted(wanted - lost)], tuple(sorted({*missing, *lost}))


def unreadable_maps(paths: DataPaths, scenes: Iterable[Scene]) -> dict[str, str]:
    """Locations of the scenes whose map is missing or damaged, and how."""
    lost = {}
    for place in sorted(locations_of(scenes)):
        try:
            read_map(paths.maps, place).load()
        except UserError as error:
            lost[place] = str(error)
    return lost


def _with_maps(paths: DataPaths, scenes: list[Scene]) -> tuple[list[Scene], dict[str, int]]:
    """The scenes whose map can be read, and the number of the others by map."""
    if not (lost := {place: f"{MAPLESS} ({why})" for place, why in unreadable_maps(paths, scenes).items()}):
        return scenes, {}
    reasons = [lost.get(scene.current.map_location) for scene in scenes]
    kept = [scene for scene, why in zip(scenes, reasons, strict=True) if why is None]
    return kept, dict(Counter(why for why in reasons if why is not None))


def _without_faults(logs: Sequence[Log], scenes: list[Scene]) -> tuple[list[Scene], dict[str, int]]:
    """The scenes that hold no frame with a defect, and the number of the others by cause, the first of each named."""
    faulty = {(log.split, log.name) for log in logs if columns_of(log).defects}
    if not faulty:
        return scenes, {}
    whole, found = list[Scene](), dict[str, list[Defect]]()
    for scene in scenes:
        defect = scene.defect if (scene.log.split, scene.log.name) in faulty else None
        if defect is None:
            whole.append(scene)
        else:
            found.setdefault(defect.cause, []).append(defect)
    return whole, {f"with a frame of which {cause} (first {of[0].where})": len(of) for cause, of in found.items()}


def split_logs(dataset: Dataset, paths: DataPaths, split: str) -> frozenset[str] | None:
    """Names of the logs that "train", "val" or "test" may take scenes from; None where they are not on this machine."""
    chosen: SplitConfig = getattr(dataset.data, split)
    if not paths.log_dir(chosen.split).is_dir():
        return None
    wanted = SceneFilter.from_yaml(Path(chosen.scene_filter)) if chosen.scene_filter else SceneFilter()
    named, _ = _log_names(dataset, paths, split, wanted.log_names)
    return frozenset(logs_here(paths, chosen.split)) if named is None else named


def spread(scenes: list[Scene], count: int | None) -> list[Scene]:
    """``count`` of the scenes, evenly spread; all of them for None."""
    if count is None or count >= len(scenes):
        return scenes
    return [scenes[i] for i in np.linspace(0, len(scenes) - 1, count).round().astype(int)]


def _log_names(
    dataset: Dataset, paths: DataPaths, split: str, filtered: frozenset[str] | None
) -> tuple[frozenset[str] | None, tuple[str, ...]]:
    """Logs that the configured list, the dataset itself and the scene filter all name, None where none of them names
    any; and those of the list and the filter that are not here."""
    chosen: SplitConfig = getattr(dataset.data, split)
    own = dataset.logs(paths, split)
    named = [names for names in (_listed_logs(chosen.logs, split), own, filtered) if names is not None]
    if not named:
        return None, ()
    names = frozenset.intersection(*named)
    if own is not None:
        return names, ()
    present = logs_here(paths, chosen.split).keys()
    # The devkit's lists name more logs than a split holds; only none at all is a mistake.
    if (missing := tuple(sorted(names - present))) and not names & present:
        raise UserError(f"{paths.log_dir(chosen.split)} holds none of the logs of {split}, first {missing[0]}")
    return names & present, missing


def _listed_logs(path: str | None, split: str) -> frozenset[str] | None:
    """Log names of a split from a yaml that is a list, or a mapping with ``<split>_logs`` (as the devkit ships)."""
    if path is None:
        return None
    try:
        raw = parse_yaml(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"data.{split}.logs: cannot read {path} ({error})") from None
    names = raw.get(f"{split}_logs") if isinstance(raw, dict) else raw
    if not isinstance(names, list) or not all(isinstance(name, str) and name.isprintable() for name in names):
        raise UserError(f"{path} has no list '{split}_logs' of names")
    return frozenset(names)
