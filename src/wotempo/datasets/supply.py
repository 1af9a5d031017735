"""The supply of a dataset's files: the archives or commands that bring them, and how many are here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from wotempo.maps.locations import INDEX_NAME, MAP_VERSIONS
from wotempo.navsim import DataPaths, Frame, sensor_paths
from wotempo.navsim.dataset import size_of

Part = Literal["maps", "logs", "current", "history"]  # current, history: sensor files of frames
FILES_PER_FRAME = 4  # three cameras and the LiDAR


@dataclass(frozen=True)
class Archive:
    """A file to download, which comes whole. ``gigabytes``: unpacked. ``script``: what fetches it."""

    gigabytes: float
    script: str


Archives = Mapping[str, Mapping[Part, Archive]]  # by split and part


@dataclass(frozen=True)
class Piece:
    """One part of a dataset: ``needed`` and ``here`` count files. ``bytes_here`` of them; ``bytes_missing``: of what is
    to be fetched or made, None where it is not known yet."""

    name: str
    needed: int
    here: int
    bytes_here: int
    bytes_missing: float | None
    how: str

    @property
    def complete(self) -> bool:
        """Whether no file is missing."""
        return self.here >= self.needed


class Reach(NamedTuple):
    """How far back the published sensor files go: ``frames`` of a window, the current one included. ``beyond``: what to
    say of frames before them."""

    frames: int
    beyond: str


class Supply:
    """A dataset without archives: ``how`` tells a user what makes or fetches its files."""

    tokens: ClassVar[Mapping[str, int]] = {}  # published number of scenes by split; empty where nothing is published
    log_files: ClassVar[Mapping[str, int]] = {}  # published number of log files; val's lie beside train's
    frames_per_token: ClassVar[float] = 1.0  # distinct frames of windows with history, over scenes
    archives: ClassVar[Archives] = {}  # what brings a part of a split; empty where no archive does
    sensor_reach: ClassVar[Mapping[str, Reach]] = {}  # by split; none where they reach as far back as logs

    def __init__(self, how: str) -> None:
        self.how = how

    def of_split(self, split: str, with_history: bool) -> list[Piece]:
        """What is known of a split before its logs are here; empty where only they can tell."""
        return []

    def whole(self, name: str, with_history: bool) -> list[Piece]:
        """What is known of the dataset ``name`` before anything of it is here."""
        return [Piece(name, 1, 0, 0, None, self.how)]

    def piece(self, name: str, files: Iterable[Path], part: Part, split: str = "train") -> Piece:
        """How much of ``files`` is here. An archive is fetched whole; without one, missing files are taken to be as
        large as those that are here."""
        archive = self.archives.get(split, {}).get(part)
        needed = here = held = 0
        for size in sizes(files):
            needed, here, held = needed + 1, here + (size > 0), held + size
        if here == needed:
            missing: float | None = 0.0
        elif archive is not None:
            missing = archive.gigabytes * 1e9
        else:
            missing = held / here * (needed - here) if here else None
        return Piece(name, needed, here, held, missing, self.how if archive is None else archive.script)

    def brings(self, split: str, lacking: Mapping[frozenset[Part | None], int]) -> str:
        """Which archives would make how many tokens whole, in words. ``lacking``: parts of ``split`` -> tokens that
        lack files of exactly these; None is what no archive has."""
        tokens: dict[tuple[str, ...], int] = {}
        nowhere = 0
        for parts, count in lacking.items():
            found = {part: self.archives.get(split, {}).get(part) for part in parts if part is not None}
            names = tuple(sorted({self.how if of is None else of.script for of in found.values()}))
            if None in parts:
                nowhere += count
            else:
                tokens[names] = tokens.get(names, 0) + count
        ordered = sorted(tokens.items(), key=lambda item: (len(item[0]), -item[1]))
        phrases = [
            f"{' and '.join(names)} would bring {count} tokens{' more, together' if len(names) > 1 else ''}"
            for names, count in ordered
        ]
        return "; ".join([*phrases, *([f"{nowhere} tokens need files that no archive has"] if nowhere else [])])

    def to_fetch(self, pieces: Iterable[Piece]) -> float | None:
        """Bytes of what is missing; an archive counts once, although several pieces lie in it. None where the size of
        one piece is not known."""
        lacking = [piece for piece in pieces if not piece.complete]
        if any(piece.bytes_missing is None for piece in lacking):
            return None
        once = {piece.how if piece.how != self.how else piece.name: piece.bytes_missing or 0.0 for piece in lacking}
        return sum(once.values())


def sizes(files: Iterable[Path]) -> Iterator[int]:
    """Bytes of each file; 0 where it is missing (or empty, which is no better)."""
    return (size_of(file) or 0 for file in files)


def absent(name: str, needed: int, archive: Archive) -> Piece:
    """A piece that cannot be counted yet, because the logs that name its files are missing."""
    return Piece(name, needed, 0, 0, archive.gigabytes * 1e9, archive.script)


def map_files(root: Path) -> list[Path]:
    """The index and the four maps, whether they are there or not."""
    return [root / INDEX_NAME, *(root / place / version / "map.gpkg" for place, version in MAP_VERSIONS.items())]


def frame_files(paths: DataPaths, split: str, frames: Iterable[Frame]) -> Iterator[Path]:
    """Of the sensors that the model looks at: three cameras and the LiDAR. ``split``: the directory's name."""
    return (file for frame in frames for file in sensor_paths(paths, split, frame))
