"""The renderer's world shows what the map says."""

from __future__ import annotations

import numpy as np
import pytest

from wotempo.city.sensors.furniture import lamp_lights, signal_furniture
from wotempo.city.sensors.town import draw_district, draw_world
from wotempo.city.sensors.world import GroundClass, SolidKind
from wotempo.city.traffic.signals import GREEN, RED

DRIVABLE = {
    GroundClass.ROAD, GroundClass.INTERSECTION, GroundClass.MARKING_WHITE, GroundClass.MARKING_YELLOW,
    GroundClass.CROSSWALK, GroundClass.STOP_LINE,
}  # fmt: skip


@pytest.fixture(scope="module")
def district():
    return draw_district(0, 0)


@pytest.fixture(scope="module")
def world():
    return draw_world(0, 0)


def ground_at(world, points: np.ndarray) -> np.ndarray:
    """Classes at global points (n, 2)."""
    columns, rows = np.floor((points - np.array(world.ground_origin)) / world.ground_cell).astype(int).T
    return world.ground[rows, columns]


def test_lanes_run_over_road_and_connectors_over_junctions(district, world):
    for element in district.network.elements:
        classes = ground_at(world, element.line.points + district.origin)
        assert set(classes.tolist()) <= {int(c) for c in DRIVABLE}
        main = GroundClass.INTERSECTION if element.connector else GroundClass.ROAD
        assert (classes == main).mean() > 0.5


def test_crosswalks_are_barred_and_walkways_are_walkways(district, world):
    for crosswalk in district.network.crosswalks:
        along = np.linspace(crosswalk.start, crosswalk.end, 200)[20:-20] + district.origin
        bars = (ground_at(world, along) == GroundClass.CROSSWALK).mean()
        assert 0.35 < bars < 0.65
    for walkway in district.surroundings.walkways:
        inside = np.array(walkway.representative_point().coords) + district.origin
        assert ground_at(world, inside)[0] == GroundClass.WALKWAY


def test_markings(district, world):
    for road in district.network.roads:
        yellow = road.centre.parallel(max(road.median / 2, 0.2))[10:-10] + district.origin
        near = ground_at(world, yellow)
        assert (near == GroundClass.MARKING_YELLOW).mean() > 0.5


def test_buildings_and_trees_keep_off_everything_paved(world):
    buildings = world.solids[world.solids[:, 10] == SolidKind.BUILDING].astype(float)
    assert len(buildings) > 60
    for cx, cy, _, height, length, width, yaw, *_ in buildings:
        u, v = np.meshgrid(np.linspace(-0.5, 0.5, 12) * length, np.linspace(-0.5, 0.5, 12) * width)
        x, y = cx + np.cos(yaw) * u - np.sin(yaw) * v, cy + np.sin(yaw) * u + np.cos(yaw) * v
        points = np.stack([x.ravel(), y.ravel()], 1) + np.array(world.ground_origin)
        assert (ground_at(world, points) == GroundClass.GRASS).all()
        assert height > 2.5
    trees = world.solids[world.solids[:, 10] == SolidKind.TREE].astype(float)
    assert len(trees) > 60
    assert (ground_at(world, trees[:, :2] + np.array(world.ground_origin)) == GroundClass.GRASS).all()


def test_poles_stand_off_the_lanes_and_masts_hang_high(district, world):
    poles = world.solids[world.solids[:, 10] == SolidKind.POLE].astype(float)
    standing = poles[poles[:, 2] == 0.0]
    classes = ground_at(world, standing[:, :2] + np.array(world.ground_origin))
    assert set(classes.tolist()) <= {int(GroundClass.GRASS), int(GroundClass.WALKWAY)}
    hanging = poles[poles[:, 2] > 0.0]
    assert (hanging[:, 2] > 4.5).all()


def test_two_heads_per_signalised_arm_in_the_colour_of_their_phase(district):
    network = district.network
    heads, _ = signal_furniture(network)
    arms = sum(len(node.arms) for node in network.layout.nodes if node.control == "signal")
    assert len(heads) == 2 * arms > 0
    state = np.full((len(network.layout.nodes), 2), RED)
    state[:, 1] = GREEN
    lights = lamp_lights(heads, state)
    red = lights[:, 3] > lights[:, 4]
    assert red.tolist() == [head.phase == 0 for head in heads]
    assert (lights[:, 2] > 2.5).all()


def test_the_same_object_while_a_worker_stays_in_the_district(world):
    assert draw_world(0, 0) is world
    assert world.ground_cell == 0.2
