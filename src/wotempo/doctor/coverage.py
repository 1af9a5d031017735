"""Maps: each location has its file, and the poses of the logs lie on its roads."""

from __future__ import annotations

from collections.abc import Iterable

from wotempo.doctor.finding import Finding
from wotempo.navsim import DataPaths, Frame
from wotempo.preparation.map_fit import FIX, HALF, NEARLY_ALL, in_words, shares_on_roads


def check_maps(paths: DataPaths, frames: Iterable[Frame]) -> Finding:
    """UserError where a map is missing or damaged."""
    shares = shares_on_roads(paths, frames)
    found, worst = in_words(shares), min(shares.values())
    if worst < HALF:
        return Finding("maps", "fail", found, FIX)
    if worst < NEARLY_ALL:
        return Finding("maps", "warn", found, "compare the map version with nuplan-maps-v1.0.json")
    return Finding("maps", "ok", found)
