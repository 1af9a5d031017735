"""The ground of a district as a raster of GroundClass, painted from the map's own surfaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from shapely.geometry import Polygon

from wotempo.city.sensors.world import GroundClass
from wotempo.city.streets.curves import Line, arc_lengths
from wotempo.city.streets.network import CROSSWALK_WIDTH, Crosswalk, Network, RoadShape
from wotempo.city.streets.surroundings import BAY_LENGTH, BAY_WIDTH, Surroundings

CELL = 0.2  # metres
MARGIN = 45.0  # metres of grass around the outermost road
DASH, DASH_PERIOD = 3.0, 9.0  # metres of a broken lane line
_SHIFT = 4  # fractional bits of OpenCV's fixed-point coordinates


class Canvas:
    """A raster over local coordinates; ``corner`` (2,) is the outer corner of cell [0, 0]."""

    def __init__(self, corner: np.ndarray, size: np.ndarray) -> None:
        self.corner = corner
        self.cells = np.zeros(tuple(np.ceil(size[::-1] / CELL).astype(int)), np.uint8)

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        # OpenCV's integer coordinates are the centres of cells.
        return np.round(((points - self.corner) / CELL - 0.5) * 2**_SHIFT).astype(np.int32)

    def at(self, point: np.ndarray) -> GroundClass:
        """What is painted at a local point (2,) of the canvas."""
        column, row = ((point - self.corner) / CELL).astype(int)
        return GroundClass(self.cells[row, column])

    def fill(self, polygons: Iterable[Polygon], value: GroundClass) -> None:
        for polygon in polygons:
            points = self._pixels(np.asarray(polygon.exterior.coords))
            cv2.fillPoly(self.cells, [points], int(value), cv2.LINE_8, _SHIFT)

    def stroke(self, points: np.ndarray, value: GroundClass) -> None:
        """A line one cell wide."""
        cv2.polylines(self.cells, [self._pixels(points)], False, int(value), 1, cv2.LINE_8, _SHIFT)


def paint_ground(network: Network, surroundings: Surroundings) -> Canvas:
    """Surfaces from the widest to the narrowest, then paint."""
    outline = np.concatenate([np.asarray(band.exterior.coords) for band in surroundings.road_bands])
    low, high = outline.min(0) - MARGIN, outline.max(0) + MARGIN
    canvas = Canvas(low, high - low)
    canvas.fill(surroundings.walkways, GroundClass.WALKWAY)
    canvas.fill(surroundings.road_bands, GroundClass.ROAD)
    canvas.fill((surface for _, surface in network.intersections), GroundClass.INTERSECTION)
    canvas.fill((park.polygon for park in surroundings.car_parks), GroundClass.CAR_PARK)
    for park in surroundings.car_parks:
        _paint_bays(canvas, park.bays)
    canvas.fill(surroundings.medians, GroundClass.GRASS)
    for road in network.roads:
        _paint_road(canvas, road)
    for crosswalk in network.crosswalks:
        canvas.fill(_bars(crosswalk), GroundClass.CROSSWALK)
    canvas.fill((polygon for _, polygon, _ in network.stop_lines), GroundClass.STOP_LINE)
    return canvas


def _paint_road(canvas: Canvas, road: RoadShape) -> None:
    """Yellow in the middle, broken white between lanes, white at the outer lane's edge."""
    centre = road.centre
    for side in (-1, 1):
        canvas.stroke(centre.parallel(side * max(road.median / 2, 0.2)), GroundClass.MARKING_YELLOW)
        for k in range(1, road.lanes):
            _dashes(canvas, centre, side * (road.median / 2 + k * road.lane_width))
        if road.half_width - road.lane_edge > 1.0:
            canvas.stroke(centre.parallel(side * road.lane_edge), GroundClass.MARKING_WHITE)


def _dashes(canvas: Canvas, centre: Line, offset: float) -> None:
    points = centre.parallel(offset)
    s = arc_lengths(points)
    for start in np.arange(DASH, s[-1] - DASH, DASH_PERIOD):
        along = np.linspace(start, start + DASH, 4)
        dash = np.stack([np.interp(along, s, points[:, k]) for k in (0, 1)], 1)
        canvas.stroke(dash, GroundClass.MARKING_WHITE)


def _bars(crosswalk: Crosswalk) -> Iterator[Polygon]:
    """Painted along the driving direction."""
    across = crosswalk.left * CROSSWALK_WIDTH / 2
    for u in np.arange(0.4, crosswalk.length - 0.6, 1.2):
        a, b = (crosswalk.start + v * crosswalk.along for v in (u, u + 0.4))  # painted, a cell wider
        yield Polygon([a - across, b - across, b + across, a + across])


def _paint_bays(canvas: Canvas, bays: np.ndarray) -> None:
    for x, y, heading in bays:
        forward, left = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
        for side in (-1, 1):
            edge = np.array([x, y]) + side * BAY_WIDTH / 2 * left
            ends = [edge - BAY_LENGTH / 2 * forward, edge + BAY_LENGTH / 2 * forward]
            canvas.stroke(np.array(ends), GroundClass.MARKING_WHITE)
