"""The routes of vehicles: sequences lane, connector, lane, … and the dense paths along them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wotempo.city.streets.network import LEFT, RIGHT, STRAIGHT, Network

STEP = 0.5  # metres between samples of a path
TURN_WEIGHTS = {STRAIGHT: 1.0, LEFT: 0.9, RIGHT: 0.9}


def draw_route(
    network: Network, start: int, length: float, rng: np.random.Generator, closed: frozenset[int] = frozenset()
) -> tuple[int, ...]:
    """Elements from lane ``start`` on, at least ``length`` metres in all, ending with a lane.

    Roads are not driven twice where that can be helped, and ``closed`` lanes never.
    """
    elements = network.elements
    route, total = [start], elements[start].line.length
    visited = {elements[start].group}
    while total < length:
        ways = [c for c in elements[route[-1]].after if elements[c].after[0] not in closed]
        fresh = [c for c in ways if elements[elements[c].after[0]].group not in visited]
        ways = fresh or ways
        weights = np.array([TURN_WEIGHTS[elements[c].turn] for c in ways])
        connector = ways[rng.choice(len(ways), p=weights / weights.sum())]
        lane = elements[connector].after[0]
        visited.add(elements[lane].group)
        route += [connector, lane]
        total += elements[connector].line.length + elements[lane].line.length
    return tuple(route)


@dataclass(frozen=True)
class Paths:
    """Dense paths of V vehicles: samples every STEP metres, P of them; elements padded with -1, starts with inf."""

    elements: np.ndarray  # (V, K) int
    starts: np.ndarray  # (V, K + 1) metres along the path at which each element begins
    poses: np.ndarray  # (V, P, 3) x, y, heading, unwrapped
    curvature: np.ndarray  # (V, P)
    limit: np.ndarray  # (V, P) m/s
    length: np.ndarray  # (V,)

    def pose(self, s: np.ndarray) -> np.ndarray:
        """(..., V) metres along the paths -> (..., V, 3) x, y, heading."""
        place = np.clip(s / STEP, 0.0, self.poses.shape[1] - 1.001)
        k = place.astype(np.int64)
        f = (place - k)[..., None]
        v = np.arange(len(self.poses))
        return self.poses[v, k] * (1 - f) + self.poses[v, k + 1] * f


def build_paths(network: Network, routes: list[tuple[int, ...]], sway: np.ndarray) -> Paths:
    """``sway`` (V, 3): amplitude, wavelength (metres) and phase of a slow drift about the centre line."""
    count, most = len(routes), max(len(route) for route in routes) + 4  # so that looking ahead needs no bounds check
    elements = np.full((count, most), -1)
    starts = np.full((count, most + 1), np.inf)
    samples = []
    for v, route in enumerate(routes):
        lines = [network.elements[e].line for e in route]
        begin = np.concatenate([[0.0], np.cumsum([line.length for line in lines])])
        elements[v, : len(route)], starts[v, : len(begin)] = route, begin
        s = np.concatenate([b + line.s[:-1] for b, line in zip(begin, lines, strict=False)])
        even = np.arange(0.0, begin[-1] - STEP, STEP)
        heading = np.unwrap(np.concatenate([line.heading[:-1] for line in lines]))
        curvature = np.concatenate([line.curvature[:-1] for line in lines])
        points = np.concatenate([line.points[:-1] for line in lines])
        limits = np.repeat([network.elements[e].speed_limit for e in route], [len(line.s) - 1 for line in lines])
        amplitude, wavelength, phase = sway[v]
        wave = 2 * np.pi * even / wavelength + phase
        h = np.interp(even, s, heading)
        drift = amplitude * np.sin(wave)
        samples.append(np.column_stack((
            np.interp(even, s, points[:, 0]) - drift * np.sin(h),
            np.interp(even, s, points[:, 1]) + drift * np.cos(h),
            h + amplitude * 2 * np.pi / wavelength * np.cos(wave),
            np.interp(even, s, curvature),
            limits[np.clip(np.searchsorted(s, even, "right") - 1, 0, len(s) - 1)],
        )))  # fmt: skip
    counts = np.array([len(path) for path in samples])
    padded = np.stack([np.pad(a, ((0, counts.max() - len(a)), (0, 0)), "edge") for a in samples])
    return Paths(elements, starts, padded[..., :3], padded[..., 3], padded[..., 4], counts * STEP - STEP)
