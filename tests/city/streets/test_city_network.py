"""Districts: a connected graph whose pieces meet, on surfaces that cover what is driven."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString

from wotempo.city.streets.curves import Line, turn
from wotempo.city.streets.district import draw_network
from wotempo.city.streets.network import Network
from wotempo.city.streets.surroundings import draw_surroundings
from wotempo.city.traffic.ego import drivable_area

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module", params=SEEDS)
def network(request: pytest.FixtureRequest) -> Network:
    return draw_network(np.random.default_rng(request.param))


def test_every_road_can_be_reached_from_every_other(network):
    for direction in ("after", "before"):
        seen, open_ = {0}, [0]
        while open_:
            for k in getattr(network.groups[open_.pop()], direction):
                if k not in seen:
                    seen.add(k)
                    open_.append(k)
        assert len(seen) == len(network.groups)
    for element in network.elements:
        assert element.before
        assert element.after


def test_lane_end_is_connector_start_and_connector_end_is_lane_start(network):
    for connector in network.elements:
        if not connector.connector:
            continue
        before, after = network.elements[connector.before[0]].line, network.elements[connector.after[0]].line
        assert np.hypot(*(before.points[-1] - connector.line.points[0])) < 1e-6
        assert np.hypot(*(after.points[0] - connector.line.points[-1])) < 1e-6
        assert abs(np.sin(before.heading[-1] - connector.line.heading[0])) < 0.02
        assert abs(np.sin(after.heading[0] - connector.line.heading[-1])) < 0.02


def test_links_of_lanes_and_roadblocks_agree(network):
    for k, element in enumerate(network.elements):
        for after in element.after:
            assert k in network.elements[after].before
            assert network.elements[after].group in network.groups[element.group].after
        assert k in network.groups[element.group].elements


def test_no_bend_is_sharper_than_a_car_can_comfortably_drive(network):
    for element in network.elements:
        assert np.abs(element.line.curvature).max() < 1 / 8.0
        assert (
            np.hypot(*np.diff(element.line.points, axis=0).T).max() <= 1.05
        )  # vertex spacing: offsets stretch a little


def test_surfaces_are_simple_and_neighbours_overlap(network):
    surfaces = {n: [p for m, p in network.intersections if m == n] for n in range(len(network.layout.nodes))}
    for group in network.groups:
        assert group.polygon.is_valid
        assert not group.polygon.interiors
        if group.connector:
            continue
        for end in (*group.before, *group.after):
            node = network.elements[network.groups[end].elements[0]].node
            assert max(group.polygon.intersection(surface).area for surface in surfaces[node]) > 0.1
    for parts in surfaces.values():
        for part in parts:
            assert part.geom_type == "Polygon"
            assert part.is_valid
            assert not part.interiors
        if len(parts) > 1:  # a roundabout's sectors overlap round the ring
            for a, b in zip(parts, [*parts[1:], parts[0]], strict=True):
                assert a.intersection(b).area > 0.1


def test_junction_surfaces_cover_the_turns(network):
    area = drivable_area(network)
    for element in network.elements:
        driven = LineString(element.line.points).buffer(1.2, cap_style="flat")
        assert shapely.difference(driven, area).area < 0.02


def test_walkways_and_car_parks_lie_beside_the_lanes(network):
    surroundings = draw_surroundings(network, np.random.default_rng(0))
    assert len(surroundings.walkways) > 10
    area = drivable_area(network).buffer(-0.05)
    for walkway in surroundings.walkways:
        assert walkway.is_valid
        assert not walkway.interiors
        assert walkway.intersection(area).area < 0.05
    for park in surroundings.car_parks:
        assert park.polygon.is_valid
        assert park.polygon.geom_type == "Polygon"
        assert park.polygon.intersection(area).area > 0.5  # its driveway reaches the roadblock
        bays = shapely.points(park.bays[:, :2])
        assert shapely.contains(park.polygon, bays).all()


def test_seed_decides_the_district():
    again = draw_network(np.random.default_rng(SEEDS[0]))
    first = draw_network(np.random.default_rng(SEEDS[0]))
    other = draw_network(np.random.default_rng(SEEDS[1]))
    assert all(
        np.array_equal(a.line.points, b.line.points) for a, b in zip(first.elements, again.elements, strict=True)
    )
    assert not np.array_equal(first.elements[0].line.points, other.elements[0].line.points)


def test_districts_have_every_kind_of_junction_between_them():
    controls, turns, lanes = set(), set(), set()
    for seed in range(6):
        network = draw_network(np.random.default_rng(seed))
        controls |= {node.control for node in network.layout.nodes}
        turns |= {element.turn for element in network.elements if element.connector}
        lanes |= {edge.street.lanes for edge in network.layout.edges}
    assert controls == {"signal", "priority", "roundabout"}
    assert turns == {"left", "straight", "right"}
    assert lanes == {1, 2, 3}


def test_turn_starts_and_ends_straight():
    line = turn(np.zeros(2), 0.0, np.array([14.0, 11.0]), np.pi / 2, 0.5)
    assert np.allclose(line.points[[0, -1]], [[0, 0], [14, 11]])
    assert abs(line.curvature[1]) < 0.04
    assert abs(line.curvature[-2]) < 0.04
    assert np.abs(line.curvature).max() < 1 / 8.0


def test_a_turn_is_no_wider_than_asked():
    end = np.array([30.0, -30.0])
    wide, tight = turn(np.zeros(2), 0.0, end, -np.pi / 2, 0.5), turn(np.zeros(2), 0.0, end, -np.pi / 2, 0.5, 10.0)
    assert 1 / np.abs(wide.curvature).max() > 20.0
    assert 1 / np.abs(tight.curvature).max() == pytest.approx(10.0, rel=0.08)
    assert np.allclose(tight.points[-1], end)


def test_parallel_of_a_circle_is_a_circle():
    angle = np.linspace(0, np.pi, 200)
    circle = Line(20.0 * np.stack([np.cos(angle), np.sin(angle)], 1))  # counter-clockwise: left is inwards
    radius = np.hypot(*circle.parallel(3.0).T)
    assert np.allclose(radius, 17.0, atol=0.01)
    assert np.allclose(circle.curvature[2:-2], 1 / 20.0, atol=1e-3)
