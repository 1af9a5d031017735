"""The count of sensor files of a split that are there: per token, and per frame of its history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from wotempo.config.missing import DROP, ERROR, MASK
from wotempo.datasets import Progress
from wotempo.datasets.supply import Part, Supply
from wotempo.doctor.finding import Finding
from wotempo.navsim import DataPaths, Frame, sensor_paths
from wotempo.navsim.dataset import size_of
from wotempo.navsim.per_scene import attempted


@dataclass(frozen=True)
class SensorCount:
    """``missing`` and ``before`` by position in the window, oldest first: windows whose frame there lacks a file, and
    windows whose log does not reach back that far."""

    tokens: int
    missing: tuple[int, ...]
    before: tuple[int, ...]
    whole: int  # windows without a missing file
    empty: int  # files of 0 bytes
    first: str  # of the files that are missing or empty, or why a frame has none
    lacking: Mapping[frozenset[Part | None], int] = field(default_factory=dict)  # parts (None: of no archive) -> tokens


def count_sensors(
    paths: DataPaths,
    split: str,
    windows: Iterable[Sequence[Frame | None]],
    length: int,
    total: int,
    progress: Progress = lambda *_: None,
    current: Set[str] = frozenset(),
    reach: int | None = None,
) -> SensorCount:
    """``windows``: the frames of each of ``total`` tokens, oldest first, ``length`` of them. Each file is looked at
    once. ``current``: tokens of all frames that come with the archives of current frames; ``reach``: frames of a window
    that archives have, None for all."""
    missing, before, whole, empty, first = [0] * length, [0] * length, 0, 0, ""
    known: dict[str, bool] = {}
    lacking: Counter[frozenset[Part | None]] = Counter()
    for done, window in enumerate(windows, 1):
        parts = set[Part | None]()
        for position, frame in enumerate(window):
            if frame is None:
                before[position] += 1
                continue
            if frame.token not in known:
                sizes, why = attempted(partial(_sizes, paths, split, frame))
                bad = [why] if sizes is None else [file.name for file, size in sizes.items() if not size]
                sizes = sizes or {}
                known[frame.token] = not bad
                empty += sum(size == 0 for size in sizes.values())
                first = first or (bad[0] if bad else "")
            if not known[frame.token]:
                missing[position] += 1
                beyond = reach is not None and position < length - reach
                own = frame.token in current or position == length - 1
                parts.add("current" if own else None if beyond else "history")
        whole += not parts
        lacking.update([frozenset(parts)] if parts else [])
        if done % 1000 == 0:
            progress("look at sensor files", done, total)
    return SensorCount(total, tuple(missing), tuple(before), whole, empty, first, lacking)


def _sizes(paths: DataPaths, split: str, frame: Frame) -> dict[Path, int | None]:
    return {file: size_of(file) for file in sensor_paths(paths, split, frame)}


def check_sensors(split: str, count: SensorCount, missing: str = ERROR, supply: Supply | None = None) -> Finding:
    """``missing``: as ``data.missing`` says. ``supply``: what brings the files that are lacking."""
    name = f"sensors {split}"
    *past, now = count.missing
    found = f"{count.tokens} tokens, {count.tokens - now} with all current files, {count.whole} with a whole window"
    if past:
        offsets = range(-len(past), 1)
        found += "; frames without files " + _listed(zip(offsets, count.missing, strict=True))
        if any(count.before):
            found += "; before the log begins " + _listed(zip(offsets, count.before, strict=True))
    if not count.first:
        return Finding(name, "ok", found)
    found += f"; {count.empty} files of 0 bytes; first {count.first}"
    if supply is not None and count.lacking:
        found += f"; {supply.brings(split, count.lacking)}"
    if missing == MASK and count.tokens > now:
        left_out = ", scenes without current files are left out" if now else ""
        fix = f"complete the history download; until then these frames are masked{left_out}"
        return Finding(name, "warn", found, fix)
    if missing == DROP and count.whole:
        return Finding(name, "warn", found, "complete the download; until then scenes without files are left out")
    if now:
        fix = "complete the download of the current frames; a 0-byte file must be fetched again; or data.missing=drop"
        return Finding(name, "fail", found, fix)
    return Finding(name, "fail", found, "complete the history download, or data.missing=mask, or data.missing=drop")


def _listed(pairs: Iterable[tuple[int, int]]) -> str:
    return ", ".join(f"{offset}: {count}" for offset, count in pairs)
