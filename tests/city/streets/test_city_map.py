"""The one map file: as the official tools need it, and in millimetre agreement with what was simulated."""

from __future__ import annotations

import numpy as np
import pytest

from wotempo.city.sensors.town import LOCATION, PITCH, PROJECTED_CRS, district_origin, draw_district
from wotempo.city.streets.map_layers import town_layers, write_town_map
from wotempo.maps import read_map
from wotempo.maps.layers import ESSENTIAL, EXTRA


@pytest.fixture(scope="module")
def layers():
    return [town_layers([draw_district(0, k)]) for k in range(2)]


def test_all_layers_are_there_and_ids_are_unique_over_all_of_them(layers):
    assert set(layers[0]) == set(ESSENTIAL) | set(EXTRA)
    fids = np.concatenate([frame["fid"].to_numpy() for part in layers for frame in part.values()])
    assert len(set(fids.tolist())) == len(fids)
    assert fids.min() > 0


def test_districts_are_far_apart_and_in_the_utm_zone_of_the_location(layers):
    assert PROJECTED_CRS == "EPSG:32611"
    bounds = [part["road_segments"].total_bounds for part in layers]
    assert bounds[1][0] - bounds[0][2] > 400.0
    for low_x, low_y, high_x, high_y in bounds:
        assert 166_000 < low_x < high_x < 834_000  # what a UTM zone spans
        assert 3_900_000 < low_y < high_y < 4_100_000  # Las Vegas
    assert np.hypot(*(district_origin(5) - district_origin(4))) == pytest.approx(PITCH)


def test_written_map_agrees_to_a_millimetre(layers, tmp_path):
    write_town_map(tmp_path, [draw_district(0, k) for k in range(2)])
    index = read_map(tmp_path, LOCATION)
    for name in ("lanes_polygons", "intersections", "walkways", "crosswalks"):
        frame = layers[1][name]
        read = index.layer(name)
        for fid, shape in zip(frame["fid"], frame.geometry, strict=True):
            stored = read.geometry[list(read.ids).index(str(fid))]
            assert np.abs(np.asarray(stored.exterior.coords) - np.asarray(shape.exterior.coords)).max() < 1e-3


def test_lane_graph_survives_the_file(town):
    district = draw_district(town.config.seed, 0)
    ids = [str(fid) for fid in (*town_layers([district])["lanes_polygons"]["fid"],)]
    for lane_id in ids:
        lane = town.map.lane(lane_id)
        assert not lane.is_connector
        assert lane.speed_limit > 10.0
        assert lane.outgoing
        assert lane.incoming
        assert np.hypot(*np.diff(lane.baseline[:, :2], axis=0).T).max() <= 1.05
        assert lane_id in town.map.roadblock(lane.roadblock_id).lane_ids
        for connector_id in lane.outgoing:
            connector = town.map.lane(connector_id)
            assert connector.is_connector
            assert lane_id in connector.incoming
            assert np.hypot(*(connector.baseline[0, :2] - lane.baseline[-1, :2])) < 1e-3
            (following,) = connector.outgoing
            assert np.hypot(*(connector.baseline[-1, :2] - town.map.lane(following).baseline[0, :2])) < 1e-3
            assert town.map.lane(following).roadblock_id in town.map.roadblock(connector.roadblock_id).outgoing
