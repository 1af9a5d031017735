"""Points in polygons, and where the ego's box lies."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from pdm_builders import make_areas, start_state

from wotempo.pdm.areas import AreaKind, ego_areas
from wotempo.pdm.inside import containing
from wotempo.pdm.states import HALF_LENGTH, HALF_WIDTH, REAR_AXLE_TO_CENTRE, box_points

FRONT = REAR_AXLE_TO_CENTRE + HALF_LENGTH
UTM = np.array([664000.25, 3996000.5])


def contains_points(polygons: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """`containing` as flags (P, Q)."""
    first, members = containing(polygons, xy)
    inside = np.zeros((len(polygons), len(xy)), bool)
    inside[members, np.repeat(np.arange(len(xy)), np.diff(first))] = True
    return inside


@pytest.mark.parametrize("origin", [np.zeros(2), UTM], ids=["origin", "utm"])
def test_contains_points_answers_as_geos(origin: np.ndarray) -> None:
    """Random polygons with holes; points anywhere, on vertices, on edges, and next to them."""
    rng = np.random.default_rng(2)
    polygons, points = [], [rng.uniform(-60, 60, (4000, 2))]
    for _ in range(30):
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 80)))
        radius = rng.uniform(5, 30, len(angle))
        shell = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
        centre = np.round(rng.uniform(-30, 30, 2), 3)
        shell = np.round(shell + centre, rng.integers(0, 4))  # round figures: horizontal edges, shared heights
        hole = centre + 0.5 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        polygon = shapely.Polygon(shell + origin, [hole + origin] if rng.random() < 0.5 else [])
        polygons.append(polygon)
        ring = shapely.get_coordinates(polygon) - origin
        weight = rng.random((len(ring) - 1, 1))
        weight[::2] = 0.5
        points += [ring, weight * ring[1:] + (1 - weight) * ring[:-1]]
        points += [ring + rng.normal(0, 1e-9, ring.shape), np.stack([rng.uniform(-60, 60, len(ring)), ring[:, 1]], -1)]
    xy = np.concatenate(points) + origin
    inside = contains_points(np.array(polygons, object), xy)
    expected = np.stack([shapely.contains_xy(polygon, xy[:, 0], xy[:, 1]) for polygon in polygons])
    np.testing.assert_array_equal(inside, expected)
    assert expected.any()


def _areas(*areas, x: float = 0.0, y: float = 0.0, heading: float = 0.0):
    state = start_state()[None, None]
    state[..., :3] = x, y, heading
    flags = ego_areas(make_areas(*areas), box_points(state), state[..., :2])
    return {
        name: bool(getattr(flags, name)[0, 0])
        for name in ("multiple_lanes", "non_drivable", "oncoming", "in_intersection", "bad")
    }


ROAD = (AreaKind.ROADBLOCK, shapely.box(-50, -4, 50, 4), False)
RIGHT = (AreaKind.LANE, shapely.box(-50, -4, 50, 0), True)
LEFT = (AreaKind.LANE, shapely.box(-50, 0, 50, 4), False)


def test_in_one_lane() -> None:
    flags = _areas(ROAD, RIGHT, LEFT, y=-2)
    assert flags == dict.fromkeys(flags, False)


def test_straddling_two_lanes() -> None:
    flags = _areas(ROAD, RIGHT, LEFT, y=-0.5)
    assert flags["multiple_lanes"]
    assert flags["bad"]
    assert not flags["oncoming"]
    assert not flags["non_drivable"]


def test_overlapping_lanes_do_not_count_when_one_holds_the_box() -> None:
    both = (AreaKind.LANE_CONNECTOR, shapely.box(-50, -4, 50, 4), True)
    assert not _areas(ROAD, RIGHT, LEFT, both, y=-0.5)["multiple_lanes"]


def test_oncoming_is_the_centre_off_the_route_lanes() -> None:
    assert _areas(ROAD, RIGHT, LEFT, y=0.5)["oncoming"]
    assert not _areas(ROAD, RIGHT, LEFT, y=-0.5)["oncoming"]


def test_route_roadblock_is_no_route_lane() -> None:
    assert _areas((AreaKind.ROADBLOCK, ROAD[1], True), LEFT, y=2)["oncoming"]


def test_corner_on_the_border_is_outside() -> None:
    def road_until(x: float):
        return _areas((AreaKind.ROADBLOCK, shapely.box(-50, -4, x, 4), False), RIGHT, y=-2)["non_drivable"]

    corner = box_points(start_state())[0, 0]
    assert corner == pytest.approx(FRONT)
    assert road_until(corner)
    assert not road_until(np.nextafter(corner, 9.0))


def test_corners_may_stand_on_different_drivable_areas() -> None:
    park = (AreaKind.CARPARK, shapely.box(1, -4, 9, 4), False)
    crossing = (AreaKind.INTERSECTION, shapely.box(-50, -4, 2, 4), False)
    assert not _areas(park, crossing, RIGHT)["non_drivable"]
    assert _areas(park, RIGHT)["non_drivable"]


def test_lanes_and_connectors_are_not_drivable_by_themselves() -> None:
    assert _areas(RIGHT, (AreaKind.LANE_CONNECTOR, ROAD[1], True), y=-2)["non_drivable"]


def test_intersection_is_asked_at_the_rear_axle() -> None:
    ahead = (AreaKind.INTERSECTION, shapely.box(0.5, -4, 50, 4), False)
    assert not _areas(ROAD, RIGHT, ahead, y=-2)["in_intersection"]
    assert _areas(ROAD, RIGHT, ahead, x=0.6, y=-2)["in_intersection"]


def test_box_points() -> None:
    points = box_points(np.array([10.0, 20.0, np.pi / 2]))
    left, right, rear = -HALF_WIDTH, HALF_WIDTH, FRONT - 5.176
    expected = np.array([(left, FRONT), (left, rear), (right, rear), (right, FRONT), (0, 1.461)])
    np.testing.assert_allclose(points - np.array([10, 20]), expected)


def test_off_the_map() -> None:
    nowhere = _areas((AreaKind.ROADBLOCK, shapely.box(500, 500, 600, 600), False))
    assert nowhere["non_drivable"]
    assert nowhere["oncoming"]
    assert not nowhere["in_intersection"]


def test_multi_polygons_hold_the_points_of_all_parts() -> None:
    islands = shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(5, 0, 6, 1)])
    xy = np.array([[0.5, 0.5], [3, 0.5], [5.5, 0.5]])
    inside = contains_points(np.array([islands, shapely.box(2, 0, 4, 1)], object), xy)
    np.testing.assert_array_equal(inside, [[True, False, True], [False, True, False]])
