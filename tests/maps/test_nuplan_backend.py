"""Our map reader against nuplan-devkit's, question by question, where ``make setup WITH=nuplan`` installed that."""

from __future__ import annotations

import pickle
import shutil
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from wotempo.city import build_city, city_config
from wotempo.errors import UserError
from wotempo.maps import MapIndex, read_map
from wotempo.maps.writer import write_map_root

# The devkit reads null ids as the smallest integer.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")

LOCATION = "us-nv-las-vegas-strip"
LANES = ("lanes_polygons", "lane_connectors")
BLOCKS = ("lane_groups_polygons", "lane_group_connectors")
PLACED = (*LANES, *BLOCKS, "intersections", "carpark_areas", "walkways")


def town_maps(folder: Path) -> Path:
    build_city(folder, replace(city_config("micro"), cameras=(), sensors=False))
    return folder / "maps"


@pytest.fixture(scope="module", params=["town", "golden"])
def both(request, tmp_path_factory, golden_maps) -> tuple[MapIndex, MapIndex]:
    """The same map by our reader and by the devkit's, which writes lock files: into a copy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the devkit's imports
        pytest.importorskip(
            "nuplan.common.maps.nuplan_map.map_factory", reason="NO NUPLAN DEVKIT: `make setup WITH=nuplan`"
        )
        from wotempo.maps.nuplan_backend import NuplanMap
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "town":
        maps = town_maps(folder)
    else:
        maps = Path(shutil.copytree(golden_maps, folder / "maps"))
        write_map_root(maps, LOCATION)  # the devkit opens all four locations
    return read_map(maps, LOCATION), NuplanMap(maps, LOCATION)


def test_layers_hold_the_same_features(both):
    ours, devkit = both
    assert isinstance(devkit, MapIndex)
    assert ours.layer_names == devkit.layer_names
    assert len(ours.layer_names) >= 10
    for name in sorted(ours.layer_names):
        a, b = ours.layer(name), devkit.layer(name)
        assert a.ids.tolist() == b.ids.tolist()
        assert [x.geom_type for x in a.geometry] == [x.geom_type for x in b.geometry]
        np.testing.assert_allclose(*(shapely.get_coordinates(x.geometry) for x in (a, b)), rtol=0, atol=1e-9)
        assert set(b.columns) <= set(a.columns)
    for column in ("exit_lane_fid", "entry_lane_fid", "lane_group_connector_fid"):
        a, b = (city.layer("lane_connectors").id_column(column).tolist() for city in both)
        assert a == b
    with pytest.raises(UserError, match="has no layer moon_surface"):
        devkit.layer("moon_surface")


def test_lanes_are_the_same(both):
    ours, devkit = both
    ids = [id_ for layer in LANES for id_ in ours.layer(layer).ids.tolist()]
    assert len(ids) > 20
    for id_ in ids:
        a, b = ours.lane(id_), devkit.lane(id_)
        names = ("id", "roadblock_id", "speed_limit", "is_connector", "outgoing", "incoming")
        assert [getattr(a, name) for name in names] == [getattr(b, name) for name in names]
        np.testing.assert_allclose(a.baseline, b.baseline, rtol=0, atol=1e-9)
        assert a.length == pytest.approx(b.length, abs=1e-9)
        assert a.polygon.equals_exact(b.polygon, 1e-9)
    with pytest.raises(UserError, match="no lane or lane connector has the id '5x'"):
        devkit.lane("5x")


def test_roadblocks_are_the_same(both):
    ours, devkit = both
    for id_ in [id_ for layer in BLOCKS for id_ in ours.layer(layer).ids.tolist()]:
        a, b = ours.roadblock(id_), devkit.roadblock(id_)
        names = ("id", "lane_ids", "outgoing", "incoming", "is_connector")
        assert [getattr(a, name) for name in names] == [getattr(b, name) for name in names]
        assert a.polygon.equals_exact(b.polygon, 1e-9)
    with pytest.raises(UserError, match="no roadblock has the id ''"):
        devkit.roadblock("")


def test_what_is_near_is_the_same_in_the_same_order(both):
    ours, devkit = both
    vertices = shapely.get_coordinates(ours.layer("baseline_paths").geometry)
    generator = np.random.default_rng(0)
    found = 0
    for layer in sorted(set(PLACED) & ours.layer_names):
        for radius in (0.0, 1.0, 32.0, 100.0):
            x, y = vertices[generator.integers(len(vertices))] + generator.normal(0, 5, 2)
            rows = ours.near(layer, x, y, radius)
            assert rows.tolist() == devkit.near(layer, x, y, radius).tolist()
            found += len(rows)
    assert found > 30
    with pytest.raises(UserError, match="finds no objects of the layer boundaries"):
        devkit.near("boundaries", 0.0, 0.0, 1.0)


def test_it_travels_to_worker_processes(both):
    _, devkit = both
    copy = pickle.loads(pickle.dumps(devkit))
    id_ = devkit.layer("lanes_polygons").ids[0]
    assert copy.lane(id_).outgoing == devkit.lane(id_).outgoing


def test_without_the_devkit_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "nuplan.common.maps.maps_datatypes", None)
    monkeypatch.delitem(sys.modules, "wotempo.maps.nuplan_backend", raising=False)
    with pytest.raises(UserError, match=r"nuplan-devkit cannot be imported .*make setup WITH=nuplan"):
        __import__("wotempo.maps.nuplan_backend")
