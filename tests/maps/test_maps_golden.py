"""The map index answers what the official map API answers."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import shapely

from wotempo.errors import UserError
from wotempo.maps import MapIndex, read_map

LOCATION = "us-nv-las-vegas-strip"


@pytest.fixture(scope="module")
def index(golden_maps: Path) -> MapIndex:
    return read_map(golden_maps, LOCATION)


@pytest.fixture(scope="module")
def official(golden_dir: Path) -> dict:
    return json.loads((golden_dir / "navsim" / "map_official.json").read_text())


def test_near_finds_the_same_objects_in_the_same_order(index: MapIndex, official: dict):
    assert sum(len(query["ids"]) for query in official["near"]) > 50
    for query in official["near"]:
        rows = index.near(query["layer"], query["x"], query["y"], query["radius"])
        assert index.layer(query["layer"]).ids[rows].tolist() == query["ids"]


def test_lanes_are_the_same(index: MapIndex, official: dict):
    assert {lane["is_connector"] for lane in official["lanes"].values()} == {True, False}
    assert {lane["speed_limit"] is None for lane in official["lanes"].values()} == {True, False}
    for lane_id, expected in official["lanes"].items():
        lane = index.lane(lane_id)
        assert (lane.id, lane.is_connector, lane.roadblock_id) == (
            lane_id,
            expected["is_connector"],
            expected["roadblock"],
        )
        assert (lane.speed_limit, list(lane.outgoing), list(lane.incoming)) == (
            expected["speed_limit"],
            expected["outgoing"],
            expected["incoming"],
        )
        assert lane.baseline.shape == (expected["vertices"], 3)
        np.testing.assert_allclose(lane.baseline[[0, -1]], [expected["first"], expected["last"]], rtol=0, atol=1e-6)
        assert lane.length == pytest.approx(expected["length"], abs=1e-6)
        assert lane.polygon.area == pytest.approx(expected["area"], abs=1e-5)


def test_roadblocks_are_the_same(index: MapIndex, official: dict):
    assert {block["is_connector"] for block in official["roadblocks"].values()} == {True, False}
    for roadblock_id, expected in official["roadblocks"].items():
        block = index.roadblock(roadblock_id)
        assert (block.is_connector, list(block.lane_ids)) == (expected["is_connector"], expected["lanes"])
        assert (list(block.outgoing), list(block.incoming)) == (expected["outgoing"], expected["incoming"])
        assert block.polygon.area == pytest.approx(expected["area"], abs=1e-5)


def test_the_graph_is_closed_and_agrees_with_itself(index: MapIndex):
    lanes = [index.lane(i) for layer in ("lanes_polygons", "lane_connectors") for i in index.layer(layer).ids]
    blocks = [
        index.roadblock(i)
        for layer in ("lane_groups_polygons", "lane_group_connectors")
        for i in index.layer(layer).ids
    ]
    assert (len(lanes), len(blocks)) == (54, 34)
    for things, get in ((lanes, index.lane), (blocks, index.roadblock)):
        assert sum(len(thing.outgoing) for thing in things) > 30
        for thing in things:
            assert all(thing.id in get(after).incoming for after in thing.outgoing)
            assert all(thing.id in get(before).outgoing for before in thing.incoming)
    assert all(lane.id in index.roadblock(lane.roadblock_id).lane_ids for lane in lanes)
    for lane in lanes:
        for after in lane.outgoing:
            np.testing.assert_allclose(lane.baseline[-1, :2], index.lane(after).baseline[0, :2], atol=1e-3)


def test_headings_point_to_the_next_vertex(index: MapIndex):
    baseline = index.lane(index.layer("lane_connectors").ids[0]).baseline
    steps = np.diff(baseline[:, :2], axis=0)
    np.testing.assert_allclose(np.arctan2(steps[:, 1], steps[:, 0]), baseline[:-1, 2], atol=1e-12)
    assert baseline[-1, 2] == baseline[-2, 2]


def test_unknown_ids_and_layers_are_named(index: MapIndex):
    with pytest.raises(UserError, match=r"map\.gpkg: no lane or lane connector has the id '5'"):
        index.lane("5")
    with pytest.raises(UserError, match=r"map\.gpkg: no roadblock has the id ''"):
        index.roadblock("")
    with pytest.raises(UserError, match=r"map\.gpkg: has no layer generic_drivable_areas"):
        index.layer("generic_drivable_areas")


@pytest.mark.shared
def test_the_cut_lies_where_the_reference_map_does(shared_dir: Path, index: MapIndex):
    """The cut is stored in EPSG:4326, the reference in UTM: the reprojection moves nothing."""
    started = time.process_time()
    whole = MapIndex(shared_dir / "golden/navsim/maps" / LOCATION / "9.15.1915/map.gpkg")
    for name in whole.layer_names:
        whole.layer(name)
    whole.near("lanes_polygons", 0, 0, 1)
    assert time.process_time() - started < 1.5
    for name in index.layer_names:
        rows = np.flatnonzero(np.isin(whole.layer(name).ids, index.layer(name).ids))
        a, b = (
            shapely.get_coordinates(part) for part in (whole.layer(name).geometry[rows], index.layer(name).geometry)
        )
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
