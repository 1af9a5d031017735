"""The plan of one district: streets on a bent, turned grid; which nodes they meet at and how those are controlled.

Only topology and rough geometry are drawn here. ``roads`` and ``junctions`` turn the plan into lanes and polygons.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from wotempo.city.streets.curves import angle_between, direction, turn

CORNER_RADIUS = 6.0  # of the kerb between two arms of a junction, metres
CROSSWALK_NEAR, CROSSWALK_FAR = 1.0, 4.5  # a crosswalk lies this far beyond the stop line
ROUNDABOUT_RADIUS = 20.6  # of the kerb around it
MIN_RADIUS = 38.0  # of any road's centre line
MIN_ROAD = 45.0  # metres between two stop lines
GRIDS = ((3, 4), (4, 3), (4, 4))  # rows, columns of nodes; the four corners become bends
_STEPS = {"row": (0, 1), "col": (1, 0)}  # from a node to the next one on the same grid line
SIGNAL, PRIORITY, ROUNDABOUT = "signal", "priority", "roundabout"


@dataclass(frozen=True)
class Street:
    """Cross-section of a whole grid line, equal in both directions; metres, m/s."""

    lanes: int  # per direction
    lane_width: float
    median: float  # 0: only painted
    shoulder: float  # between the outer lane and the kerb: parked cars or cyclists
    speed_limit: float

    @property
    def lane_edge(self) -> float:
        """From the centre line to the outer edge of the outer lane."""
        return self.median / 2 + self.lanes * self.lane_width

    @property
    def half_width(self) -> float:
        """From the centre line to the kerb."""
        return self.lane_edge + self.shoulder


@dataclass(frozen=True)
class Edge:
    """A road between two nodes; ``via`` are points that it passes on the way."""

    nodes: tuple[int, int]
    headings: tuple[float, float]  # of the road's own direction at its two ends
    via: np.ndarray  # (K, 2)
    street: Street


@dataclass(frozen=True)
class Arm:
    """Where a road meets a node. ``outward`` points away from the node."""

    edge: int
    at_start: bool  # the edge begins here
    outward: float
    setback: float  # from the node to the stop line
    phase: int  # of the signal; also 0 = major, 1 = minor


@dataclass(frozen=True)
class Node:
    """A junction: its arms counter-clockwise."""

    position: np.ndarray  # (2,)
    control: str
    arms: tuple[Arm, ...]


@dataclass(frozen=True)
class Layout:
    """A district's plan in local metres."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def _street(rng: np.random.Generator, lanes: int) -> Street:
    wide = lanes < 3 and rng.random() < 0.7
    return Street(
        lanes=lanes,
        lane_width=float(rng.uniform(3.5, 3.8)),
        median=float(rng.choice([0.0, 2.0, 3.0])) if lanes > 1 else 0.0,
        shoulder=2.7 if wide else 0.7,
        speed_limit=(11.2, 13.4, 15.6)[lanes - 1],
    )


def draw_layout(rng: np.random.Generator) -> Layout | None:
    """A plan, or None when two of its arms came out too close: about every second draw is good."""
    rows, cols = GRIDS[rng.integers(len(GRIDS))]
    ring = _street(rng, int(rng.choice([1, 2])))
    small = rng.integers(1, rows - 1 + cols - 1 - 1)  # one inner street is always a single-lane one
    inner = [_street(rng, 1 if k == small - 1 else int(rng.choice([1, 2, 2, 3]))) for k in range(rows + cols - 4)]
    streets = {("row", r): ring if r in (0, rows - 1) else inner[r - 1] for r in range(rows)}
    streets |= {("col", c): ring if c in (0, cols - 1) else inner[rows - 3 + c] for c in range(cols)}
    at = _grid(rng, rows, cols)
    corner = {(r, c) for r in (0, rows - 1) for c in (0, cols - 1)}
    index = {rc: k for k, rc in enumerate(sorted(set(at) - corner))}

    edges: list[Edge] = []
    for (r, c), (kind, (dr, dc)) in product(at, _STEPS.items()):
        end = (r + dr, c + dc)
        if (r, c) in index and end in index:
            heads = (_tangent(at, kind, r, c), _tangent(at, kind, *end))
            bow = _bow(rng, at[r, c], at[end])
            edges.append(Edge((index[r, c], index[end]), heads, bow, streets[kind, r if kind == "row" else c]))
    for r, c in sorted(corner):
        a = (r, 1 if c == 0 else cols - 2)
        b = (1 if r == 0 else rows - 2, c)
        out = _tangent(at, "row", *a) + (np.pi if a[1] > c else 0.0)  # towards the corner
        back = _tangent(at, "col", *b) + (np.pi if b[0] < r else 0.0)  # away from it
        via = _fillet(rng, at[a], at[r, c], at[b])
        edges.append(Edge((index[a], index[b]), (out, back), via, ring))
    return _assemble(rng, [at[rc] for rc in index], edges)


def _grid(rng: np.random.Generator, rows: int, cols: int) -> dict[tuple[int, int], np.ndarray]:
    """Node positions: uneven spacing, bent by a wave, turned by a random angle."""
    xs = np.cumsum(rng.uniform(125.0, 175.0, cols))
    ys = np.cumsum(rng.uniform(125.0, 165.0, rows))
    xs, ys = xs - xs.mean(), ys - ys.mean()
    phase, turn = rng.uniform(0.0, 2 * np.pi, 2), rng.uniform(0.0, 2 * np.pi)
    spin = np.array([direction(turn), direction(turn + np.pi / 2)])
    at = {}
    for r in range(rows):
        for c in range(cols):
            bend = 11.0 * np.sin(phase + np.array([ys[r], xs[c]]) / 75.0)
            at[r, c] = (np.array([xs[c], ys[r]]) + bend + rng.uniform(-8.0, 8.0, 2)) @ spin
    return at


def _tangent(at: dict[tuple[int, int], np.ndarray], kind: str, r: int, c: int) -> float:
    """Heading of a grid line at a node, towards growing row or column."""
    dr, dc = _STEPS[kind]
    after = at.get((r + dr, c + dc), at[r, c])
    before = at.get((r - dr, c - dc), at[r, c])
    return float(np.arctan2(*(after - before)[::-1]))


def _bow(rng: np.random.Generator, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(0 or 1, 2): half of the roads bulge to one side."""
    if rng.random() < 0.5:
        return np.empty((0, 2))
    along = (b - a) / np.hypot(*(b - a))
    bulge = rng.uniform(3.0, 9.0) * rng.choice([-1.0, 1.0])
    return ((a + b) / 2 + bulge * np.array([-along[1], along[0]]))[None]


def _fillet(rng: np.random.Generator, a: np.ndarray, corner: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(7, 2) points of the bend that replaces a corner of the grid."""
    to_a, to_b = (a - corner) / np.hypot(*(a - corner)), (b - corner) / np.hypot(*(b - corner))
    reach = rng.uniform(0.48, 0.6) * min(np.hypot(*(a - corner)), np.hypot(*(b - corner)))
    headings = np.arctan2(-to_a[1], -to_a[0]), np.arctan2(to_b[1], to_b[0])
    bend = turn(corner + reach * to_a, headings[0], corner + reach * to_b, headings[1], 1.0)
    return bend.points[np.linspace(0, len(bend.points) - 1, 7).round().astype(int)]


def _assemble(rng: np.random.Generator, positions: list[np.ndarray], edges: list[Edge]) -> Layout | None:
    nodes = []
    for n, position in enumerate(positions):
        ends = [(e, k == 0) for e, edge in enumerate(edges) for k in (0, 1) if edge.nodes[k] == n]
        outward = [edges[e].headings[0] if start else edges[e].headings[1] + np.pi for e, start in ends]
        order = np.argsort(np.mod(outward, 2 * np.pi))
        ends, outward = [ends[k] for k in order], [outward[k] for k in order]
        streets = [edges[e].street for e, _ in ends]
        gaps = [np.mod(outward[(k + 1) % len(ends)] - outward[k], 2 * np.pi) for k in range(len(ends))]
        if min(gaps) < np.radians(62.0):
            return None
        control = _control(rng, streets)
        if control == ROUNDABOUT:
            setbacks = [ROUNDABOUT_RADIUS + 14.0] * len(ends)
        else:
            setbacks = _setbacks([s.half_width for s in streets], gaps)
        arms = []
        for k, (e, start) in enumerate(ends):
            through = any(abs(angle_between(other, outward[k] + np.pi)) < 0.3 for other in outward)
            phase = int(k % 2) if len(ends) == 4 else int(not through)
            arms.append(Arm(e, start, float(outward[k]), float(setbacks[k]), phase))
        nodes.append(Node(position, control, tuple(arms)))
    return Layout(tuple(nodes), tuple(edges))


def _control(rng: np.random.Generator, streets: list[Street]) -> str:
    widest = max(street.lanes for street in streets)
    if widest == 1:
        return ROUNDABOUT if rng.random() < 0.75 else PRIORITY
    return SIGNAL if len(streets) == 4 or rng.random() < 0.5 else PRIORITY


def _setbacks(half_widths: list[float], gaps: list[float]) -> list[float]:
    """From the node to each stop line: clear of the neighbouring roads, the rounded kerb and the crosswalk."""
    count = len(gaps)
    out = [12.0] * count
    for k in range(count):
        j, gap = (k + 1) % count, gaps[k]
        if gap > np.radians(150.0):  # the flat side of a T-junction
            continue
        rounding = CORNER_RADIUS / np.tan(gap / 2) + CROSSWALK_FAR + 0.5
        for me, other in ((k, j), (j, k)):
            meet = (half_widths[other] + half_widths[me] * np.cos(gap)) / np.sin(gap)
            out[me] = max(out[me], meet + rounding)
    return out
