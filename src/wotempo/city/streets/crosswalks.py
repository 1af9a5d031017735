"""Crosswalks at the arms of junctions and between junctions, and where lanes run over them."""

from __future__ import annotations

import numpy as np

from wotempo.city.streets.curves import direction
from wotempo.city.streets.layout import CROSSWALK_FAR, CROSSWALK_NEAR, SIGNAL, Layout
from wotempo.city.streets.network import CROSSWALK_WIDTH, Crossing, Crosswalk, Element, RoadShape


def arm_crosswalk(
    layout: Layout, n: int, k: int, half_width: float, elements: list[Element], connectors: list[int]
) -> Crosswalk:
    """Across arm ``k`` of node ``n``, between the stop line and the junction."""
    node = layout.nodes[n]
    arm = node.arms[k]
    middle = node.position + (arm.setback - (CROSSWALK_NEAR + CROSSWALK_FAR) / 2) * direction(arm.outward)
    side = half_width * direction(arm.outward + np.pi / 2)
    return _crosswalk(middle - side, middle + side, elements, connectors, n, arm.phase, node.control == SIGNAL)


def middle_crosswalk(road: RoadShape, where: float, elements: list[Element], lanes: list[int]) -> Crosswalk:
    """Across a road between its junctions; ``where`` is a share of its length."""
    point, heading = road.centre.at(where * road.centre.length)
    side = road.half_width * direction(heading + np.pi / 2)
    return _crosswalk(point - side, point + side, elements, lanes, node=-1, phase=0, signalised=False)


def _crosswalk(
    start: np.ndarray, end: np.ndarray, elements: list[Element], candidates: list[int], node: int, phase: int,
    signalised: bool,
) -> Crosswalk:  # fmt: skip
    length = float(np.hypot(*(end - start)))
    along = (end - start) / length
    crossings = []
    for e in candidates:
        line = elements[e].line
        offset = line.points - start
        across = offset @ along
        beside = offset @ np.array([-along[1], along[0]])
        on = (np.abs(beside) < CROSSWALK_WIDTH / 2 + 0.3) & (across > 0) & (across < length)
        if on.any():
            s = line.s[on]
            crossings.append(Crossing(e, float(s[0]), float(s[-1]), float(across[on].mean())))
    return Crosswalk(start, end, tuple(crossings), node, phase, signalised)
