"""One simulated log: everything needed to say where everyone is at any step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wotempo.city.streets.network import Network
from wotempo.city.traffic.fleet import Fleet, draw_fleet, draw_moods
from wotempo.city.traffic.routes import Paths, build_paths
from wotempo.city.traffic.signals import draw_plan
from wotempo.city.traffic.simulation import DT, Simulation, Tracks, simulate
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

    def driven(self, tracks: Tracks) -> Drive:
        """The same traffic, where this happened."""
        return replace(self, tracks=tracks, poses=self.paths.pose(tracks.s))


def run_drive(network: Network, seconds: float, experts: int, rng: np.random.Generator) -> Drive:
    """``seconds`` after the warm-up; ``experts``: how many vehicles drive like the ego."""
    drive, simulation, steps = begin_drive(network, seconds, experts, rng)
    return drive.driven(simulate(simulation, steps))


def begin_drive(
    network: Network, seconds: float, experts: int, rng: np.random.Generator
) -> tuple[Drive, Simulation, int]:
    """A drive of ``run_drive`` with nothing driven yet, its simulation, and how many steps that has."""
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
    simulation = Simulation(network, paths, fleet, moods, plan, crossers, starts, speeds)
    none = np.empty((0, len(fleet)))
    nothing = Tracks(none, none, none, np.empty((0, len(crossers.pace))), simulation.lights[:0])
    return Drive(network, closed, paths, fleet, crossers, nothing, paths.pose(none)), simulation, len(moods.pace)
