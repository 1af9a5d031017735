"""A reader of files, and how files for it are damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzz_bytes import Mutator


@dataclass(frozen=True)
class Target:
    """A reader. ``make``: writes a valid file, and what has to lie around it, below a folder -> that file. ``read``
    takes the file when it was damaged. ``ways``: what damages it beside ``fuzz_bytes.damage``. ``hostile``: files made
    by hand, which come first. ``pace``: its share of the inputs; slow readers get less."""

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    ways: tuple[Mutator, ...] = ()
    hostile: tuple[Callable[[], bytes], ...] = ()
    pace: float = 1.0
