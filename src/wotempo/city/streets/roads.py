"""Lanes of roads, made from the edges of the plan: offset lines of each road's centre line."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Polygon

from wotempo.city.streets.curves import Line, direction, resample, spline
from wotempo.city.streets.layout import MIN_RADIUS, MIN_ROAD, Edge, Layout

LANE_SPACING = 1.0  # metres between vertices of a lane's centre line
GUTTER = 0.5  # metres of a roadblock beyond its outer lane, and beyond the inner one where there is a median
OVERLAP = 0.05  # neighbouring polygons overlap: a point on a shared border counts as inside of neither


def arm_point(layout: Layout, node: int, arm: int) -> np.ndarray:
    """(2,) where the road's centre line meets the stop line."""
    here = layout.nodes[node]
    return here.position + here.arms[arm].setback * direction(here.arms[arm].outward)


def centre_lines(layout: Layout) -> list[Line] | None:
    """One centre line per edge, from stop line to stop line, or None when a road came out too short or too bent."""
    ends: dict[tuple[int, bool], np.ndarray] = {}
    for n, node in enumerate(layout.nodes):
        for k, arm in enumerate(node.arms):
            ends[arm.edge, arm.at_start] = arm_point(layout, n, k)
    lines = []
    for e, edge in enumerate(layout.edges):
        points = np.concatenate([ends[e, True][None], edge.via, ends[e, False][None]])
        if min(np.hypot(*np.diff(points, axis=0).T)) < 8.0:
            return None
        line = spline(points, *edge.headings, LANE_SPACING)
        if line.length < MIN_ROAD or np.abs(line.curvature).max() > 1.0 / MIN_RADIUS:
            return None
        lines.append(line)
    return lines


def lane_lines(centre: Line, edge: Edge, against: bool) -> list[Line]:
    """Lanes of one direction, innermost (leftmost) first."""
    street = edge.street
    offsets = [street.median / 2 + (i + 0.5) * street.lane_width for i in range(street.lanes)]
    base = centre.reversed() if against else centre
    return [Line(resample(base.parallel(-offset), LANE_SPACING)) for offset in offsets]


def group_polygon(centre: Line, edge: Edge, against: bool) -> Polygon:
    """All lanes of one direction, without the shoulder."""
    street = edge.street
    inner = street.median / 2 - (GUTTER if street.median > 0 else OVERLAP)
    outer = street.median / 2 + street.lanes * street.lane_width + GUTTER
    right, left = (inner, outer) if against else (-outer, -inner)
    return strip_polygon(centre, right, left, extend=0.1)


def strip_polygon(line: Line, right: float, left: float, extend: float = 0.0) -> Polygon:
    """A band beside a line, with no more vertices than a centimetre of accuracy needs."""
    return Polygon(line.strip(right, left, extend)).simplify(0.01)
