"""Plane curves: smooth lines through points, parallel lines, turns. Metres and radians, x right, y up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline


def direction(heading: float) -> np.ndarray:
    """(2,) unit vector of a heading."""
    return np.array([np.cos(heading), np.sin(heading)])


def angle_between(a: float, b: float) -> float:
    """Turn from heading ``a`` to ``b`` in (-π, π]; positive is to the left."""
    return float(np.arctan2(np.sin(b - a), np.cos(b - a)))


def arc_lengths(points: np.ndarray) -> np.ndarray:
    """(M, 2) -> (M,) distance along the line from its first point."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def resample(points: np.ndarray, spacing: float) -> np.ndarray:
    """The same line with equal steps of at most ``spacing``; both ends stay."""
    s = arc_lengths(points)
    count = max(3, int(np.ceil(s[-1] / spacing)) + 1)
    even = np.linspace(0.0, s[-1], count)
    return np.stack([np.interp(even, s, points[:, 0]), np.interp(even, s, points[:, 1])], 1)


@dataclass(frozen=True)
class Line:
    """A directed smooth line with its arc length, heading and curvature at every vertex."""

    points: np.ndarray  # (M, 2), M ≥ 3, evenly spaced

    @cached_property
    def s(self) -> np.ndarray:
        return arc_lengths(self.points)

    @cached_property
    def heading(self) -> np.ndarray:
        """(M,) radians, unwrapped."""
        dx, dy = np.gradient(self.points, axis=0, edge_order=2).T
        return np.unwrap(np.arctan2(dy, dx))

    @cached_property
    def curvature(self) -> np.ndarray:
        """(M,) 1/m, positive to the left."""
        return np.gradient(self.heading, self.s)

    @property
    def length(self) -> float:
        return float(self.s[-1])

    def at(self, s: float) -> tuple[np.ndarray, float]:
        """Point (2,) and heading at arc length ``s``."""
        point = np.array([np.interp(s, self.s, self.points[:, k]) for k in (0, 1)])
        return point, float(np.interp(s, self.s, self.heading))

    def parallel(self, left: float) -> np.ndarray:
        """(M, 2) points moved ``left`` metres to the left of the line (negative: right)."""
        normal = np.stack([-np.sin(self.heading), np.cos(self.heading)], 1)
        return self.points + left * normal

    def strip(self, right: float, left: float, extend: float = 0.0) -> np.ndarray:
        """Outline (K, 2) of the band between two offsets, ``left`` > ``right``, longer by ``extend`` at both ends."""
        first, last = direction(self.heading[0]), direction(self.heading[-1])
        sides = []
        for offset in (right, left):
            side = self.parallel(offset)
            side[0] -= extend * first
            side[-1] += extend * last
            sides.append(side)
        return np.concatenate([sides[0], sides[1][::-1]])

    def reversed(self) -> Line:
        return Line(self.points[::-1].copy())


def spline(points: np.ndarray, start_heading: float, end_heading: float, spacing: float) -> Line:
    """Smooth line (continuous curvature) through ``points`` (K, 2) with given headings at its ends."""
    knots = arc_lengths(points)
    ends = ((1, direction(start_heading)), (1, direction(end_heading)))
    curve = CubicSpline(knots, points, bc_type=ends)
    dense = curve(np.linspace(0.0, knots[-1], max(16, int(knots[-1] / 0.1))))
    return Line(resample(dense, spacing))


def turn(
    start: np.ndarray, start_heading: float, end: np.ndarray, end_heading: float, spacing: float, radius: float = np.inf
) -> Line:
    """A driveable way from one pose to another: straight where there is room, and one bend.

    The bend is a quintic Bézier with zero curvature at both ends, its handles chosen for the largest minimum radius;
    it is wide enough for about ``radius`` where the legs are long enough, and no wider.
    """
    t0, t1 = direction(start_heading), direction(end_heading)
    bend = angle_between(start_heading, end_heading)
    first, last, gap = start, end, end - start
    reach = 0.5 * float(np.hypot(*gap))
    if abs(bend) > np.radians(15.0):
        cross = t0[0] * t1[1] - t0[1] * t1[0]
        before = (gap[0] * t1[1] - gap[1] * t1[0]) / cross  # distances from the ends to where the two legs meet
        after = (t0[0] * gap[1] - t0[1] * gap[0]) / cross
        if min(before, after) > 0:
            reach = min(before, after, radius / 0.8 * np.tan(abs(bend) / 2))
            first, last = start + (before - reach) * t0, end - (after - reach) * t1
    handle = reach * (0.375 - 0.078 * abs(bend) / (np.pi / 2))
    control = [first, first + handle * t0, first + 2 * handle * t0, last - 2 * handle * t1, last - handle * t1, last]
    u = np.linspace(0.0, 1.0, max(32, int(np.hypot(*gap) / 0.1)))[:, None]
    weights = (1, 5, 10, 10, 5, 1)
    curve = sum(w * u**i * (1 - u) ** (5 - i) * p for i, (w, p) in enumerate(zip(weights, control, strict=True)))
    return Line(resample(np.concatenate([start[None], curve, end[None]]), spacing))
