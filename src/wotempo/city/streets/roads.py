"""Lanes of roads, made from the edges of the plan: offset lines of each road's centre line."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Polygon

from wotempo.city.streets.curves import Line, direction, resample, spline
from wotempo.city.streets.layout import MIN_RADIUS, MIN_ROAD, Layout, Street

LANE_SPACING = 1.0  # metres between vertices of a lane's centre line
GUTTER = 0.5  # metres of a roadblock beyond its outer lane, and beyond the inner one where there is a median
OVERLAP = 0.05  # neighbouring polygons overlap: a point on a shared border counts as inside of neither


def centre_lines(layout: Layout) -> list[Line] | None:
    """One centre line per edge, from stop line to stop line, or None when a road came out too short or too bent."""
    ends: dict[tuple[int, bool], np.ndarray] = {}  # where the centre lines meet the stop lines
    for node in layout.nodes:
        for arm in node.arms:
            ends[arm.edge, arm.at_start] = node.position + arm.setback * direction(arm.outward)
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


def lane_lines(centre: Line, street: Street, against: bool) -> list[Line]:
    """Lanes of one direction, innermost (leftmost) first."""
    offsets = [street.median / 2 + (i + 0.5) * street.lane_width for i in range(street.lanes)]
    base = centre.reversed() if against else centre
    return [Line(resample(base.parallel(-offset), LANE_SPACING)) for offset in offsets]


def group_polygon(centre: Line, street: Street, against: bool) -> Polygon:
    """All lanes of one direction, without the shoulder."""
    inner = street.median / 2 - (GUTTER if street.median > 0 else OVERLAP)
    outer = street.lane_edge + GUTTER
    right, left = (inner, outer) if against else (-outer, -inner)
    return strip_polygon(centre, right, left, extend=0.1)


def strip_polygon(line: Line, right: float, left: float, extend: float = 0.0) -> Polygon:
    """A band beside a line, with no more vertices than a centimetre of accuracy needs."""
    return Polygon(line.strip(right, left, extend)).simplify(0.01)
