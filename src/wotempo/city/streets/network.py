"""A built district: its lanes and turns as one directed graph, and the surfaces around them. Local metres.

Lanes and connectors ("elements") share one index: first all lanes, then all connectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from shapely.geometry import Polygon

from wotempo.city.streets.curves import Line
from wotempo.city.streets.layout import CROSSWALK_FAR, CROSSWALK_NEAR, Layout, Street

LEFT, STRAIGHT, RIGHT = "left", "straight", "right"
CROSSWALK_WIDTH = CROSSWALK_FAR - CROSSWALK_NEAR  # metres


@dataclass(frozen=True)
class Element:
    """One lane, or one connector through a junction."""

    line: Line
    width: float
    speed_limit: float
    group: int  # of Network.groups
    connector: bool
    before: tuple[int, ...]  # elements that lead into this one
    after: tuple[int, ...]
    node: int = -1  # a connector's junction
    turn: str = STRAIGHT


@dataclass(frozen=True)
class Group:
    """A roadblock: all lanes of one direction of a road, or all connectors from one such group to another."""

    polygon: Polygon
    elements: tuple[int, ...]
    connector: bool
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True)
class Crossing:
    """Where the way along an element runs over a crosswalk."""

    element: int
    start: float  # metres along the element
    end: float
    across: float  # where on the crosswalk's own axis


@dataclass(frozen=True)
class Crosswalk:
    """A straight way over a road, from kerb to kerb."""

    start: np.ndarray  # (2,) at one kerb
    end: np.ndarray
    crossings: tuple[Crossing, ...]
    node: int  # -1 between junctions
    phase: int  # of the vehicles that it stops at ``node``
    signalised: bool

    @property
    def length(self) -> float:
        return float(np.hypot(*(self.end - self.start)))

    @property
    def along(self) -> np.ndarray:
        """(2,) unit vector from start to end."""
        return (self.end - self.start) / self.length

    @property
    def left(self) -> np.ndarray:
        """(2,) unit vector to the left of ``along``."""
        return self.along[::-1] * (-1.0, 1.0)

    @cached_property
    def polygon(self) -> Polygon:
        side = self.left * CROSSWALK_WIDTH / 2
        return Polygon([self.start - side, self.end - side, self.end + side, self.start + side])


@dataclass(frozen=True)
class RoadShape(Street):
    """A road between its two stop lines: the cross-section of its street along a centre line."""

    centre: Line
    directions: tuple[int, int]  # group along the centre line, group against it


@dataclass(frozen=True)
class Conflict:
    """Which connectors of one junction cannot be driven at the same time; matrices over its connectors."""

    connectors: np.ndarray  # (n,) element indices
    clear: np.ndarray  # (n, n) clear[a, b]: metres along a after which a's path is out of b's; -inf: never in it
    reach: np.ndarray  # (n, n) metres along a at which a's path comes into b's; inf: never
    yields: np.ndarray  # (n, n) bool: a gives way to b
    diverge: np.ndarray  # (n, n) metres along a up to which it overlaps b that starts from the same lane; else 0


@dataclass(frozen=True)
class Network:
    """Everything about a district that does not depend on a log."""

    layout: Layout
    roads: tuple[RoadShape, ...]
    elements: tuple[Element, ...]
    groups: tuple[Group, ...]
    intersections: tuple[tuple[int, Polygon], ...]  # (node, surface); a roundabout has several
    crosswalks: tuple[Crosswalk, ...]
    stop_lines: tuple[tuple[int, Polygon, bool], ...]  # (group that ends there, polygon, signalised)
    conflicts: tuple[Conflict, ...]  # one per node
    phases: tuple[tuple[int, int, int], ...]  # signalised connectors: (element, node, phase)
