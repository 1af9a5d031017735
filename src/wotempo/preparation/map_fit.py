"""The fit of maps and logs: poses of the logs lie on roads of the maps. Looked at in a second, before hours of work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from wotempo.errors import UserError
from wotempo.maps import on_road, read_map
from wotempo.navsim import DataPaths, Frame

SAMPLES = 200  # poses of a location
NEARLY_ALL, HALF = 0.95, 0.5  # a car may stand on a driveway; a wrong map has next to nothing below it
FIX = "these are maps of another place or version: check NUPLAN_MAPS_ROOT"


def shares_on_roads(paths: DataPaths, frames: Iterable[Frame]) -> dict[str, float]:
    """Location -> share of its poses, or of some of them, on a road of its map. UserError where a map is missing or
    damaged."""
    poses: dict[str, list[np.ndarray]] = {}
    for frame in frames:
        poses.setdefault(frame.map_location, []).append(frame.pose)
    shares = {}
    for location, members in sorted(poses.items()):
        sample = np.stack(members)[np.linspace(0, len(members) - 1, min(SAMPLES, len(members))).astype(int)]
        shares[location] = float(on_road(read_map(paths.maps, location), sample).mean())
    return shares


def in_words(shares: Mapping[str, float]) -> str:
    """'location: 97% of poses on roads', for each location."""
    return "; ".join(f"{location}: {share:.0%} of poses on roads" for location, share in shares.items())


def require_fit(paths: DataPaths, frames: Iterable[Frame]) -> None:
    """UserError where a map is missing or damaged, or is none of the place that the logs were recorded at."""
    shares = shares_on_roads(paths, frames)
    if shares and min(shares.values()) < HALF:
        raise UserError(f"{in_words(shares)}: {FIX}")
