"""Connectors and surfaces of junctions, made from the nodes of the plan."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from shapely import box, intersection, unary_union
from shapely.affinity import rotate, translate
from shapely.geometry import Point, Polygon

from wotempo.city.streets.curves import Line, angle_between, spline, turn
from wotempo.city.streets.layout import CORNER_RADIUS, ROUNDABOUT, ROUNDABOUT_RADIUS, Node
from wotempo.city.streets.network import LEFT, RIGHT, STRAIGHT
from wotempo.city.streets.roads import OVERLAP

CONNECTOR_SPACING = 0.5  # metres between vertices: connectors bend more than lanes do
RIGHT_RADIUS, LEFT_RADIUS = 9.5, 18.0  # metres: a wider right turn would cut the kerb
RING_RADIUS, ISLAND_RADIUS = 17.0, 13.6  # metres: the centre of a roundabout's lane, and what it goes around
ROUNDABOUT_KERB = 13.0  # metres: the radius of the kerb between ring and arms
LATERAL_COMFORT = 2.2  # m/s² sideways that a turn's posted speed allows


def turn_of(outward_in: float, outward_out: float) -> str:
    """Which way a vehicle turns that comes in on one arm and leaves on another."""
    bend = angle_between(outward_in + np.pi, outward_out)
    if abs(bend) < np.radians(45.0):
        return STRAIGHT
    return LEFT if bend > 0 else RIGHT


def lane_pairs(node: Node, lanes: list[int]) -> list[tuple[int, int, int, int]]:
    """Permitted (arm in, lane in, arm out, lane out), lanes counted from the left; ``lanes`` per arm and direction.

    Straight on keeps the lane, a right turn goes from the right lane to the right lane, a left turn from the left to
    the left; where a road ends, every lane still leads somewhere, and every lane of the leaving road is fed.
    """
    pairs = []
    for a, arm_in in enumerate(node.arms):
        turns = {turn_of(arm_in.outward, out.outward): b for b, out in enumerate(node.arms) if b != a}
        if STRAIGHT in turns:
            b = turns[STRAIGHT]
            pairs += [(a, k, b, k) for k in range(min(lanes[a], lanes[b]))]
        if RIGHT in turns:
            b = turns[RIGHT]
            pairs.append((a, lanes[a] - 1, b, lanes[b] - 1))
        if LEFT in turns:
            b = turns[LEFT]
            lefts = max(1, lanes[a] - 1) if STRAIGHT not in turns else 1
            pairs += [(a, k, b, min(k, lanes[b] - 1)) for k in range(lefts)]
    for b in range(len(node.arms)):
        fed = {k for _, _, arm, k in pairs if arm == b}
        for k in set(range(lanes[b])) - fed:
            arms = [(p[0], p[1]) for p in pairs if p[2] == b]
            source = next(a for a in arms if turn_of(node.arms[a[0]].outward, node.arms[b].outward) == LEFT)
            pairs.append((*source, b, k))
    return sorted(set(pairs))


def connector_line(node: Node, lane_in: Line, lane_out: Line, arm_in: int, arm_out: int) -> Line:
    """From the end of one lane to the start of another."""
    start, end = lane_in.points[-1], lane_out.points[0]
    headings = float(lane_in.heading[-1]), float(lane_out.heading[0])
    if node.control != ROUNDABOUT:
        right = angle_between(*headings) < 0
        return turn(start, headings[0], end, headings[1], CONNECTOR_SPACING, RIGHT_RADIUS if right else LEFT_RADIUS)
    margin = np.radians(36.0)  # where the ring is joined and left, seen from the arm
    first, last = node.arms[arm_in].outward + margin, node.arms[arm_out].outward - margin
    sweep = np.mod(last - first, 2 * np.pi)
    if sweep > np.radians(330.0):  # neighbouring arms: the two margins overlap
        first = last = first + angle_between(first, last) / 2
        sweep = 0.0
    angles = first + np.linspace(0.0, sweep, 1 + int(np.ceil(sweep / 0.3)))
    ring = node.position + RING_RADIUS * np.stack([np.cos(angles), np.sin(angles)], 1)
    points = np.concatenate([start[None], ring, end[None]])
    return spline(points, *headings, CONNECTOR_SPACING)


def posted_speed(line: Line, road_limit: float) -> float:
    """What a turn is posted with: its comfortable speed, at most the road's."""
    sharpest = float(np.abs(line.curvature).max())
    return float(min(road_limit, max(5.0, 1.15 * np.sqrt(LATERAL_COMFORT / max(sharpest, 1e-6)))))


def _arm_surface(node: Node, k: int, half_width: float) -> Polygon:
    """The last stretch of a road, from the node's centre to a little beyond the stop line."""
    arm = node.arms[k]
    straight = box(0.0, -half_width, arm.setback + 3 * OVERLAP, half_width)
    turned = rotate(straight, arm.outward, origin=(0, 0), use_radians=True)
    return translate(turned, *node.position)


def _rounded(shape: Polygon, radius: float) -> Polygon:
    """The same shape with its inner corners filled to a radius."""
    return shape.buffer(radius, quad_segs=12, join_style="mitre").buffer(-radius, quad_segs=12, join_style="round")


def surfaces(node: Node, half_widths: list[float]) -> list[Polygon]:
    """The drivable surface as simple polygons: one, or one sector per arm of a roundabout (its island stays free)."""
    arms = [_arm_surface(node, k, half) for k, half in enumerate(half_widths)]
    if node.control != ROUNDABOUT:
        return [_rounded(unary_union(arms), CORNER_RADIUS).simplify(0.01)]
    disc = Point(node.position).buffer(ROUNDABOUT_RADIUS, quad_segs=24)
    island = Point(node.position).buffer(ISLAND_RADIUS, quad_segs=24)
    whole = _rounded(unary_union([disc, *arms]), ROUNDABOUT_KERB).difference(island)
    outward = [arm.outward for arm in node.arms]
    cuts = [a + np.mod(b - a, 2 * np.pi) / 2 for a, b in pairwise([*outward, outward[0]])]
    return [intersection(whole, _wedge(node, cuts[k - 1], cuts[k])).simplify(0.01) for k in range(len(cuts))]


def _wedge(node: Node, first: float, last: float) -> Polygon:
    """A far-reaching sector between two directions, wider by the overlap on both sides."""
    angles = first + np.linspace(0.0, np.mod(last - first, 2 * np.pi), 9)
    rim = node.position + 80.0 * np.stack([np.cos(angles), np.sin(angles)], 1)
    return Polygon([node.position, *rim]).buffer(OVERLAP, join_style="mitre")
