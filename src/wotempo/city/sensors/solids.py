"""Buildings and trees: along the roads, set back from the walkways, never on them."""

from __future__ import annotations

import cv2
import numpy as np

from wotempo.city.sensors.ground import CELL, Canvas
from wotempo.city.sensors.world import GroundClass, SolidKind
from wotempo.city.streets.curves import direction
from wotempo.city.streets.network import Network, RoadShape
from wotempo.city.streets.surroundings import WALK_OUTER

COARSE = 1.0  # metres per cell of the map of free ground
WALLS = np.array(
    [[196, 178, 150], [170, 160, 150], [150, 95, 80], [205, 200, 190], [120, 125, 132],
     [178, 150, 120], [220, 210, 180], [135, 120, 110], [160, 172, 178], [188, 120, 95]]
)  # fmt: skip
LEAVES = np.array([[62, 92, 44], [80, 108, 52], [52, 80, 50], [98, 112, 60]])


class _Plot:
    """Which ground is still free to build on."""

    def __init__(self, canvas: Canvas) -> None:
        step = round(COARSE / CELL)
        taken = cv2.dilate(canvas.cells, np.ones((step, step), np.uint8))[::step, ::step] != GroundClass.GRASS
        self.taken, self.corner = taken.astype(np.uint8), canvas.corner

    def claim(self, centre: np.ndarray, length: float, width: float, yaw: float, gap: float) -> bool:
        """Whether a rectangle with ``gap`` metres around is free; if so, it no longer is."""
        axes = np.array([direction(yaw), direction(yaw + np.pi / 2)])
        half = np.array([length, width]) / 2 + gap
        corners = centre + (np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half) @ axes
        pixels = np.round((corners - self.corner) / COARSE).astype(np.int32)
        low, high = pixels.min(0), pixels.max(0) + 1
        if (low < 0).any() or (high > np.array(self.taken.shape[::-1])).any():
            return False
        mask = np.zeros(tuple((high - low)[::-1]), np.uint8)
        cv2.fillConvexPoly(mask, pixels - low, 1)
        window = self.taken[low[1] : high[1], low[0] : high[0]]
        if (window & mask).any():
            return False
        window |= mask
        return True


def draw_solids(network: Network, canvas: Canvas, rng: np.random.Generator) -> list[list[float]]:
    """Rows of ``StaticWorld.solids`` in local x, y."""
    plot = _Plot(canvas)
    solids: list[list[float]] = []
    for road in network.roads:
        height = rng.uniform(5.0, 18.0)  # streets differ in character
        for side in (-1, 1):
            _line_with_buildings(solids, plot, road, side, height, rng)
    for road in network.roads:
        for side in (-1, 1):
            _line_with_trees(solids, plot, road, side, rng)
    low, high = canvas.corner, canvas.corner + np.array(canvas.cells.shape[::-1]) * CELL
    for _ in range(260):  # the insides of the blocks
        centre, yaw = rng.uniform(low, high), rng.uniform(0.0, np.pi)
        if rng.random() < 0.35:
            length, depth, height = rng.uniform((12.0, 12.0, 5.0), (26.0, 22.0, 30.0))
            _building(solids, plot, centre, yaw, length, depth, height, rng)
        else:
            _tree(solids, plot, centre, rng)
    return solids


def _line_with_buildings(
    solids: list, plot: _Plot, road: RoadShape, side: int, height: float, rng: np.random.Generator
) -> None:
    s = rng.uniform(4.0, 14.0)
    while s < road.centre.length - 6.0:
        length, depth = rng.uniform(10.0, 28.0), rng.uniform(9.0, 20.0)
        point, heading = road.centre.at(s + length / 2)
        away = road.half_width + WALK_OUTER + rng.uniform(3.0, 10.0) + depth / 2
        centre = point + side * away * direction(heading + np.pi / 2)
        if rng.random() < 0.85:
            _building(solids, plot, centre, heading, length, depth, height * rng.uniform(0.6, 1.6), rng)
        s += length + rng.uniform(1.0, 16.0)


def _building(
    solids: list, plot: _Plot, centre: np.ndarray, yaw: float, length: float, depth: float, height: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    if plot.claim(centre, length, depth, yaw, gap=1.5):
        colour = np.clip(WALLS[rng.integers(len(WALLS))] * rng.uniform(0.85, 1.1), 0, 255)
        solids.append([*centre, 0.0, height, length, depth, yaw, *colour, SolidKind.BUILDING])


def _line_with_trees(solids: list, plot: _Plot, road: RoadShape, side: int, rng: np.random.Generator) -> None:
    if rng.random() < 0.3:
        return
    for s in np.arange(6.0, road.centre.length - 4.0, rng.uniform(9.0, 18.0)):
        point, heading = road.centre.at(s)
        if rng.random() < 0.75:
            away = road.half_width + WALK_OUTER + rng.uniform(1.8, 2.6)
            _tree(solids, plot, point + side * away * direction(heading + np.pi / 2), rng)


def _tree(solids: list, plot: _Plot, centre: np.ndarray, rng: np.random.Generator) -> None:
    if plot.claim(centre, 1.0, 1.0, 0.0, gap=0.2):  # the crown may hang over
        width, height = rng.uniform(2.4, 4.6), rng.uniform(4.0, 9.0)
        colour = np.clip(LEAVES[rng.integers(len(LEAVES))] * rng.uniform(0.8, 1.2), 0, 255)
        solids.append([*centre, 0.0, height, width, width, rng.uniform(0, np.pi), *colour, SolidKind.TREE])
