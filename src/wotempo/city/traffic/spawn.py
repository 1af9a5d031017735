"""The places of vehicles at the start of a simulation, and the lanes that are closed in it."""

from __future__ import annotations

import numpy as np

from wotempo.city.streets.network import Network
from wotempo.city.traffic.routes import draw_route

SPACING = 14.0  # metres between two rear axles on one lane
KEEP_OFF = 14.0  # metres to the stop line ahead: nobody starts with the front in a junction
LEADS = 0.7  # share of the experts that start behind someone who shares most of the way


def draw_closures(network: Network, rng: np.random.Generator) -> frozenset[int]:
    """Up to two outer lanes of wide roads that a work site takes; every other lane still leads somewhere."""
    wide = [g.elements[-1] for g in network.groups if not g.connector and len(g.elements) > 1]
    closed: set[int] = set()
    for lane in rng.permutation(wide)[:2]:
        trial = closed | {int(lane)}
        if all(
            any(network.elements[c].after[0] not in trial for c in element.after)
            for k, element in enumerate(network.elements)
            if not element.connector and k not in trial
        ):
            closed = trial
    return frozenset(closed)


def draw_starts(
    network: Network, count: int, experts: int, length: float, closed: frozenset[int], rng: np.random.Generator
) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """Routes and start positions (metres on the first lane) of ``count`` vehicles, experts first.

    May return fewer vehicles when the town is full; experts always have room because they are placed first.
    """
    lanes = [k for k, e in enumerate(network.elements) if not e.connector and k not in closed]
    room = np.array([network.elements[k].line.length - KEEP_OFF for k in lanes])
    taken: dict[int, list[float]] = {}
    routes: list[tuple[int, ...]] = []
    starts: list[float] = []

    def free(lane: int, s: float) -> bool:
        return all(abs(s - other) > SPACING for other in taken.get(lane, []))

    def place(route: tuple[int, ...], s: float) -> None:
        taken.setdefault(route[0], []).append(s)
        routes.append(route)
        starts.append(s)

    leads: list[tuple[tuple[int, ...], float]] = []
    for k in range(count):
        if k == experts:
            for route, s in leads:
                place(route, s)
        if len(routes) >= count:
            break
        for _ in range(20):
            lane = lanes[rng.choice(len(lanes), p=room / room.sum())]
            ahead = rng.uniform(SPACING, 40.0) if k < experts and rng.random() < LEADS else 0.0
            longest = network.elements[lane].line.length - KEEP_OFF - ahead
            s = float(rng.uniform(3.0, max(longest, 4.0)))
            if s > longest or not free(lane, s) or not free(lane, s + ahead):
                continue
            route = draw_route(network, lane, length + s, rng, closed)
            place(route, s)
            if ahead:
                taken[lane].append(s + ahead)
                leads.append((_companion(network, route, length, closed, rng), s + ahead))
            break
    return routes, np.array(starts)


def _companion(
    network: Network, route: tuple[int, ...], length: float, closed: frozenset[int], rng: np.random.Generator
) -> tuple[int, ...]:
    """A route that shares one to four roads with ``route`` and then goes its own way."""
    shared = 2 * int(rng.integers(0, 4)) + 1
    head = route[: min(shared, len(route))]
    rest = draw_route(network, head[-1], length, rng, closed)
    return head + rest[1:]
