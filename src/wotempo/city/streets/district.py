"""Layout -> Network: lanes, connectors, junction surfaces, crosswalks, stop lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from shapely import unary_union
from shapely.geometry import Polygon

from wotempo.city.streets.conflicts import find_conflicts
from wotempo.city.streets.crosswalks import arm_crosswalk, middle_crosswalk
from wotempo.city.streets.curves import Line
from wotempo.city.streets.junctions import connector_line, lane_pairs, posted_speed, surfaces, turn_of
from wotempo.city.streets.layout import ROUNDABOUT, SIGNAL, Layout, Street, draw_layout
from wotempo.city.streets.network import STRAIGHT, Element, Group, Network, RoadShape
from wotempo.city.streets.roads import centre_lines, group_polygon, lane_lines, strip_polygon

_Linked = TypeVar("_Linked", Element, Group)


def draw_network(rng: np.random.Generator) -> Network:
    """A whole district by seed: every junction open enough, every road long and gentle enough."""
    while True:
        layout = draw_layout(rng)
        centres = centre_lines(layout) if layout else None
        if layout and centres and _apart(layout, centres):
            return _build(layout, centres, rng)


def _apart(layout: Layout, centres: list[Line]) -> bool:
    """No two roads come close to each other away from their junctions."""
    bands = [
        strip_polygon(centre, -edge.street.half_width - 5.0, edge.street.half_width + 5.0)
        for edge, centre in zip(layout.edges, centres, strict=True)
    ]
    return all(not bands[a].intersects(bands[b]) for a in range(len(bands)) for b in range(a))


def _linked(items: list[_Linked]) -> list[_Linked]:
    """With ``before`` and ``after`` of lanes and lane groups filled in from those of the connectors."""
    before: dict[int, list[int]] = {}
    after: dict[int, list[int]] = {}
    for k, item in enumerate(items):
        if item.connector:
            after.setdefault(item.before[0], []).append(k)
            before.setdefault(item.after[0], []).append(k)
    return [
        item if item.connector else replace(item, before=tuple(before[k]), after=tuple(after[k]))
        for k, item in enumerate(items)
    ]


def _build(layout: Layout, centres: list[Line], rng: np.random.Generator) -> Network:
    elements: list[Element] = []
    groups: list[Group] = []
    roads = [_add_road(elements, groups, e.street, centre) for e, centre in zip(layout.edges, centres, strict=True)]
    arm_of = [_add_connectors(elements, groups, layout, n, roads) for n in range(len(layout.nodes))]
    elements, groups = _linked(elements), _linked(groups)
    intersections, crosswalks, stop_lines, conflicts, phases = [], [], [], [], []
    for n, node in enumerate(layout.nodes):
        halves = [roads[arm.edge].half_width for arm in node.arms]
        intersections += [(n, surface) for surface in surfaces(node, halves)]
        conflicts.append(find_conflicts(node, list(arm_of[n]), elements, arm_of[n]))
        signal = node.control == SIGNAL
        if signal:
            phases += [(c, n, node.arms[arm].phase) for c, arm in arm_of[n].items()]
        crosswalks += [arm_crosswalk(layout, n, k, halves[k], elements, list(arm_of[n])) for k in range(len(halves))]
        for arm in node.arms:
            road = roads[arm.edge]
            stop_lines.append((road.directions[arm.at_start], _stop_line(road, arm.at_start), signal))
    for road in roads:
        where, wanted = rng.uniform(0.4, 0.6), rng.random() < 0.5
        bend = abs(np.interp(where * road.centre.length, road.centre.s, road.centre.curvature))
        if wanted and road.centre.length > 105.0 and bend < 1 / 80:
            lanes = [e for g in road.directions for e in groups[g].elements]
            crosswalks.append(middle_crosswalk(road, where, elements, lanes))
    return Network(
        layout, tuple(roads), tuple(elements), tuple(groups), tuple(intersections),
        tuple(crosswalk for crosswalk in crosswalks if crosswalk.crossings), tuple(stop_lines), tuple(conflicts),
        tuple(phases),
    )  # fmt: skip


def _stop_line(road: RoadShape, at_start: bool) -> Polygon:
    """A band across the lanes that end here, just before their end (at a road's start: those against its direction)."""
    line = road.centre if at_start else road.centre.reversed()
    points = line.points[:2]
    end = Line(np.array([points[0] + f * (points[1] - points[0]) for f in (0.1, 0.3, 0.5)]))
    return Polygon(end.strip(road.median / 2 + 0.1, road.lane_edge - 0.1))


def _add_road(elements: list[Element], groups: list[Group], street: Street, centre: Line) -> RoadShape:
    for against in (False, True):
        lines = lane_lines(centre, street, against)
        members = tuple(range(len(elements), len(elements) + len(lines)))
        elements += [Element(line, street.lane_width, street.speed_limit, len(groups), False, (), ()) for line in lines]
        groups.append(Group(group_polygon(centre, street, against), members, False, (), ()))
    return RoadShape(**vars(street), centre=centre, directions=(len(groups) - 2, len(groups) - 1))


def _add_connectors(
    elements: list[Element], groups: list[Group], layout: Layout, n: int, roads: list[RoadShape]
) -> dict[int, int]:
    """Connectors and their groups of one node; returns connector -> arm that it comes in on."""
    node = layout.nodes[n]
    into = [roads[arm.edge].directions[arm.at_start] for arm in node.arms]
    out = [roads[arm.edge].directions[not arm.at_start] for arm in node.arms]
    counts = [len(groups[g].elements) for g in into]
    arm_of: dict[int, int] = {}
    by_arms: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for a, lane_in, b, lane_out in lane_pairs(node, counts):
        by_arms.setdefault((a, b), []).append((lane_in, lane_out))
    for (a, b), pairs in by_arms.items():
        group, members = len(groups), []
        kind = turn_of(node.arms[a].outward, node.arms[b].outward)
        for lane_in, lane_out in pairs:
            source, target = groups[into[a]].elements[lane_in], groups[out[b]].elements[lane_out]
            ends = elements[source], elements[target]
            line = connector_line(node, ends[0].line, ends[1].line, a, b)
            limit = min(end.speed_limit for end in ends)
            limit = limit if kind == STRAIGHT and node.control != ROUNDABOUT else posted_speed(line, limit)
            members.append(len(elements))
            arm_of[members[-1]] = a
            width = min(end.width for end in ends)
            elements.append(Element(line, width, limit, group, True, (source,), (target,), n, kind))
        shape = unary_union([element_polygon(elements[m]) for m in members])
        shape = shape if isinstance(shape, Polygon) else shape.convex_hull
        shape = Polygon(shape.exterior)
        groups.append(Group(shape, tuple(members), True, (into[a],), (out[b],)))
    return arm_of


def element_polygon(element: Element) -> Polygon:
    """A lane's or connector's own surface, a few centimetres into its neighbours."""
    half = element.width / 2 + 0.02
    return strip_polygon(element.line, -half, half, extend=0.05)
