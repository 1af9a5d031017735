"""Maps: each location has its file, and the poses of the logs lie on its roads."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from wotempo.doctor.finding import Finding
from wotempo.maps import on_road, read_map
from wotempo.navsim import DataPaths, Frame

SAMPLES = 200  # poses of a location
NEARLY_ALL, HALF = 0.95, 0.5  # a car may stand on a driveway; a wrong map has next to nothing below it


def check_maps(paths: DataPaths, frames: Iterable[Frame]) -> Finding:
    """UserError where a map is missing or damaged."""
    poses: dict[str, list[np.ndarray]] = {}
    for frame in frames:
        poses.setdefault(frame.map_location, []).append(frame.pose)
    shares = {}
    for location, members in sorted(poses.items()):
        sample = np.stack(members)[np.linspace(0, len(members) - 1, min(SAMPLES, len(members))).astype(int)]
        shares[location] = float(on_road(read_map(paths.maps, location), sample).mean())
    found = "; ".join(f"{location}: {share:.0%} of poses on roads" for location, share in shares.items())
    worst = min(shares.values())
    if worst < HALF:
        return Finding("maps", "fail", found, "these are maps of another place or version: check NUPLAN_MAPS_ROOT")
    if worst < NEARLY_ALL:
        return Finding("maps", "warn", found, "compare the map version with nuplan-maps-v1.0.json")
    return Finding("maps", "ok", found)
