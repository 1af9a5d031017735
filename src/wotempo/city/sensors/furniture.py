"""Traffic-light heads and their poles, and street lamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wotempo.city.sensors.world import SolidKind
from wotempo.city.streets.curves import angle_between, direction
from wotempo.city.streets.layout import Arm
from wotempo.city.streets.network import Network
from wotempo.city.traffic.signals import GREEN, RED, YELLOW

GREY = (95, 98, 100)
LAMP_COLOURS = {GREEN: (40, 220, 90), YELLOW: (255, 190, 30), RED: (240, 40, 30)}
NEAR_HEIGHT, FAR_HEIGHT = 3.2, 5.2  # metres of the heads' centres
LAMP_POST_EVERY = 34.0  # metres


@dataclass(frozen=True)
class SignalHead:
    """One head, seen by the vehicles of one phase of a node."""

    node: int
    phase: int
    place: np.ndarray  # (3,) local x, y, height


def signal_furniture(network: Network) -> tuple[list[SignalHead], list[list[float]]]:
    """Heads, and rows of ``StaticWorld.solids`` (local x, y) of poles and masts.

    Per arm one head beside the stop line and one over the lanes on the far side of the junction.
    """
    heads, solids = [], []
    for n in sorted({node for _, node, _ in network.phases}):
        node = network.layout.nodes[n]
        for arm in node.arms:
            street = network.roads[arm.edge]
            inward, right = direction(arm.outward + np.pi), direction(arm.outward + np.pi / 2)
            lanes = street.median / 2 + street.lanes * street.lane_width / 2  # middle of the incoming lanes
            near = node.position - (arm.setback + 0.3) * inward + (street.half_width + 0.6) * right
            far = _far_kerb(network, n, arm)
            reach = float((far - node.position) @ right) - lanes
            heads.append(SignalHead(n, arm.phase, np.array([*near, NEAR_HEIGHT])))
            heads.append(SignalHead(n, arm.phase, np.array([*(far - reach * right), FAR_HEIGHT])))
            solids.append([*near, 0.0, NEAR_HEIGHT - 0.6, 0.16, 0.16, 0.0, *GREY, SolidKind.POLE])
            solids.append([*far, 0.0, FAR_HEIGHT + 0.75, 0.22, 0.22, 0.0, *GREY, SolidKind.POLE])
            yaw = float(np.arctan2(right[1], right[0]))
            mast = far - reach / 2 * right
            solids.append([*mast, FAR_HEIGHT + 0.6, FAR_HEIGHT + 0.75, reach, 0.12, yaw, *GREY, SolidKind.POLE])
    return heads, solids


def _far_kerb(network: Network, n: int, arm: Arm) -> np.ndarray:
    """(2,) where the far head's pole stands: right of the road straight ahead, or behind the kerb of a T-junction."""
    node = network.layout.nodes[n]
    half_widths = {other.edge: network.roads[other.edge].half_width for other in node.arms}
    right = direction(arm.outward + np.pi / 2)
    for other in node.arms:
        if abs(angle_between(other.outward, arm.outward + np.pi)) < np.radians(45.0):
            side = (half_widths[other.edge] + 0.8) * direction(other.outward - np.pi / 2)
            return node.position + (other.setback + 0.3) * direction(other.outward) + side
    along = next(direction(other.outward) for other in node.arms if other.edge != arm.edge)  # the road through
    along = along * np.sign(along @ right)
    away = np.array([along[1], -along[0]])
    away = away * np.sign(away @ direction(arm.outward + np.pi))
    behind = max(width for edge, width in half_widths.items() if edge != arm.edge) + 1.5
    return node.position + behind * away + (half_widths[arm.edge] + 0.8) * along


def lamp_lights(heads: list[SignalHead], state: np.ndarray) -> np.ndarray:
    """Heads and the state (nodes, 2) of all signals -> (L, 6) local x, y, z, r, g, b."""
    if not heads:
        return np.empty((0, 6))
    return np.array([[*head.place, *LAMP_COLOURS[int(state[head.node, head.phase])]] for head in heads], float)


def street_lamps(network: Network) -> list[list[float]]:
    """Posts between kerb and walkway, rows of ``StaticWorld.solids`` in local x, y."""
    solids = []
    for road in network.roads:
        for side in (-1, 1):
            for s in np.arange(10.0 if side > 0 else 27.0, road.centre.length - 5.0, LAMP_POST_EVERY):
                point, heading = road.centre.at(s)
                place = point + side * (road.half_width + 0.25) * direction(heading + np.pi / 2)
                solids.append([*place, 0.0, 7.5, 0.18, 0.18, 0.0, *GREY, SolidKind.POLE])
    return solids
