"""One simulated log: everything needed to say where everyone is at any step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wotempo.city.streets.network import Network
from wotempo.city.traffic.fleet import Fleet, draw_fleet, draw_moods
from wotempo.city.traffic.routes import Paths, build_paths
from wotempo.city.traffic.signals import draw_plan
from wotempo.city.traffic.simulation import DT, Tracks, simulate
from wotempo.city.traffic.spawn import draw_closures, draw_starts
from wotempo.city.traffic.walkers import Crossers, draw_crossers

WARM_UP_S = 12.0  # until the random start has turned into traffic
BEYOND_S = 5.0  # that the route must go on after the last frame …
BEYOND_M = 160.0  # … and this much more, for two further roadblocks
TOP_SPEED = 14.0  # m/s that nobody averages
VEHICLES_PER_KM = 11.0  # of lane


@dataclass(frozen=True)
class Drive:
    """Traffic of one log; the first WARM_UP_S seconds of ``tracks`` are not part of it."""

    network: Network
    closed: frozenset[int]
    paths: Paths
    fleet: Fleet
    crossers: Crossers
    tracks: Tracks
    poses: np.ndarray  # (T, V, 3) local x, y, heading of the rear axles; heading unwrapped


def run_drive(network: Network, seconds: float, experts: int, rng: np.random.Generator) -> Drive:
    """``seconds`` after the warm-up; ``experts``: how many vehicles drive like the ego."""
    whole = WARM_UP_S + seconds
    closed = draw_closures(network, rng) if rng.random() < 0.6 else frozenset()
    kilometres = sum(e.line.length for e in network.elements if not e.connector) / 1000.0
    count = round(kilometres * VEHICLES_PER_KM * rng.uniform(0.6, 1.3))
    length = (whole + BEYOND_S) * TOP_SPEED + BEYOND_M
    routes, starts = draw_starts(network, max(count, experts + 10), experts, length, closed, rng)
    fleet = draw_fleet(len(routes), experts, rng)
    paths = build_paths(network, routes, fleet.sway)
    moods = draw_moods(fleet, round(whole / DT) + 1, DT, rng)
    plan, crossers = draw_plan(len(network.layout.nodes), rng), draw_crossers(network, whole, rng)
    speeds = rng.uniform(1.0, 8.0, len(routes))
    tracks = simulate(network, paths, fleet, moods, plan, crossers, starts, speeds)
    return Drive(network, closed, paths, fleet, crossers, tracks, paths.pose(tracks.s))
