"""The surroundings of the lanes of a district: walkways, shoulders, car parks. Local metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from shapely import STRtree, unary_union
from shapely.geometry import Polygon

from wotempo.city.streets.curves import direction
from wotempo.city.streets.network import Network, RoadShape
from wotempo.city.streets.roads import GUTTER, OVERLAP, strip_polygon

WALK_INNER, WALK_OUTER = 0.4, 3.4  # metres from the kerb
BAY_WIDTH, BAY_LENGTH = 2.7, 5.4
CAR_PARKS = 5  # per district that are tried to be placed


@dataclass(frozen=True)
class CarPark:
    """A lot beside a road with its driveway; ``bays`` (B, 3): x, y, heading of the cars that may stand there."""

    polygon: Polygon
    driveway: Polygon
    heading: float
    bays: np.ndarray


@dataclass(frozen=True)
class Surroundings:
    """Surfaces off the lanes; all simple polygons."""

    road_bands: tuple[Polygon, ...]  # kerb to kerb, one per road
    shoulders: tuple[Polygon, ...]
    medians: tuple[Polygon, ...]
    walkways: tuple[Polygon, ...]
    car_parks: tuple[CarPark, ...]


def draw_surroundings(network: Network, rng: np.random.Generator) -> Surroundings:
    """Walkways along all roads and round all corners, broken where a driveway crosses; a few car parks."""
    bands = [strip_polygon(road.centre, -road.half_width, road.half_width, 0.1) for road in network.roads]
    outlines = [_outline([p for n, p in network.intersections if n == k]) for k in range(len(network.layout.nodes))]
    car_parks = _draw_car_parks(network, [*bands, *outlines], rng)
    driveways = unary_union([park.driveway.buffer(0.3) for park in car_parks])
    roads = unary_union([strip_polygon(r.centre, -r.half_width - 0.3, r.half_width + 0.3, 0.6) for r in network.roads])
    walkways, shoulders, medians = [], [], []
    for road in network.roads:
        for side in (-1, 1):
            walkway = _beside(road, side, road.half_width + WALK_INNER, road.half_width + WALK_OUTER, OVERLAP)
            walkways += _pieces(walkway.difference(driveways))
            shoulders.append(_beside(road, side, road.lane_edge - OVERLAP, road.half_width))
        if road.median > 0:
            medians.append(strip_polygon(road.centre, GUTTER - road.median / 2, road.median / 2 - GUTTER))
    for outline in outlines:
        ring = outline.buffer(WALK_OUTER).difference(outline.buffer(WALK_INNER))
        walkways += _pieces(ring.difference(roads).difference(driveways))
    return Surroundings(tuple(bands), tuple(shoulders), tuple(medians), tuple(walkways), tuple(car_parks))


def _beside(road: RoadShape, side: int, inner: float, outer: float, extend: float = 0.0) -> Polygon:
    """The band between two distances from the centre line, on the left (``side`` 1) or the right (-1)."""
    right, left = sorted((side * inner, side * outer))
    return strip_polygon(road.centre, right, left, extend)


def _outline(surfaces: list[Polygon]) -> Polygon:
    """A junction without its island."""
    return Polygon(unary_union(surfaces).exterior)


def _pieces(shape: shapely.Geometry) -> list[Polygon]:
    """The parts of a shape that are big enough to stand on."""
    return [part.simplify(0.02) for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 3.0]


def _draw_car_parks(network: Network, taken: list[Polygon], rng: np.random.Generator) -> list[CarPark]:
    parks: list[CarPark] = []
    for _ in range(CAR_PARKS * 6):
        if len(parks) == CAR_PARKS:
            break
        r = int(rng.integers(len(network.roads)))
        road, side = network.roads[r], int(rng.choice([-1, 1]))
        park = _car_park(road, side, float(rng.uniform(0.3, 0.7)), float(rng.uniform(26.0, 44.0)))
        lot = park.polygon.difference(park.driveway).buffer(5.0)
        others = STRtree([*taken, *(p.polygon for p in parks)])
        near_crosswalk = any(c.polygon.distance(park.driveway) < 6.0 for c in network.crosswalks)
        if len(others.query(lot, predicate="intersects")) == 0 and not near_crosswalk:
            parks.append(park)
    return parks


def _car_park(road: RoadShape, side: int, where: float, length: float) -> CarPark:
    """A lot with two rows of bays and an aisle, reached over a driveway from the outer lane."""
    at, heading = road.centre.at(where * road.centre.length)
    if side < 0:
        heading += np.pi  # so that the lot always lies to the left
    forward, left = direction(heading), direction(heading + np.pi / 2)
    near, depth = road.half_width + WALK_OUTER + 2.0, 2 * BAY_LENGTH + 7.0

    def rectangle(x0: float, x1: float, y0: float, y1: float) -> Polygon:
        return Polygon([at + x * forward + y * left for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))])

    lot = rectangle(-length / 2, length / 2, near, near + depth)
    driveway = rectangle(-3.5, 3.5, road.lane_edge - 0.3, near + 0.2)
    columns = np.arange(-length / 2 + BAY_WIDTH, length / 2 - BAY_WIDTH / 2, BAY_WIDTH)
    bays = [
        [*(at + x * forward + (near + y) * left), heading + np.pi / 2 * turn]
        for y, turn in ((BAY_LENGTH / 2, -1), (depth - BAY_LENGTH / 2, 1))
        for x in columns
        if turn > 0 or abs(x) > 3.5 + BAY_WIDTH
    ]
    return CarPark(unary_union([lot, driveway]), driveway, float(heading), np.array(bays))
