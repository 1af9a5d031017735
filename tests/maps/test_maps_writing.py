"""Maps that are written and read again, in both coordinate systems, at all four locations."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from maps_builders import frame, small_layers, straight

from wotempo.errors import UserError
from wotempo.maps import MAP_VERSIONS, PROJECTED_CRS, read_map
from wotempo.maps.layers import ESSENTIAL
from wotempo.maps.locations import INDEX_NAME
from wotempo.maps.writer import write_map, write_map_root
from wotempo.navsim import write_bytes

VEGAS = "us-nv-las-vegas-strip"
CENTRES = {
    "sg-one-north": (365_000.0, 144_000.0),
    "us-ma-boston": (331_000.0, 4_690_000.0),
    VEGAS: (664_500.0, 3_996_500.0),
    "us-pa-pittsburgh-hazelwood": (587_000.0, 4_475_500.0),
}


def write_small(root: Path, location: str = VEGAS, store_crs: str = "EPSG:4326", **changes) -> Path:
    """The map and its index, without the three other maps that only the official tools need."""
    layers = small_layers(*CENTRES[location]) | changes
    write_bytes(root / INDEX_NAME, json.dumps({location: {"version": MAP_VERSIONS[location]}}).encode())
    return write_map(root, location, layers, PROJECTED_CRS[location], store_crs=store_crs)


@pytest.mark.parametrize("location", CENTRES)
@pytest.mark.parametrize("stored", ["geographic", "projected"])
def test_a_map_survives_at_city_extents(tmp_path: Path, location: str, stored: str):
    crs = PROJECTED_CRS[location] if stored == "projected" else "EPSG:4326"
    x, y = CENTRES[location]
    corners = [shapely.box(x + dx, y + dy, x + dx + 9, y + dy + 5) for dx in (-2e4, 0, 2e4) for dy in (-2e4, 0, 2e4)]
    walkways = frame(list(range(70, 79)), corners)
    path = write_small(tmp_path, location, crs, walkways=walkways)
    on_disk = pyogrio.read_dataframe(path, layer="walkways")
    assert on_disk.crs == crs
    assert (abs(on_disk.total_bounds) < 181).all() == (stored == "geographic")

    index = read_map(tmp_path, location)
    a, b = (shapely.get_coordinates(geometry) for geometry in (index.layer("walkways").geometry, corners))
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_a_small_map_is_read_as_it_was_meant(tmp_path: Path):
    write_small(tmp_path)
    x, y = CENTRES[VEGAS]
    index = read_map(tmp_path, VEGAS)
    assert index.layer_names == {*ESSENTIAL, "walkways"}
    first, turn, out, second = (index.lane(i) for i in ("10", "20", "21", "11"))
    assert (first.outgoing, first.incoming) == (("20", "21"), ())
    assert (turn.outgoing, turn.incoming) == (("11",), ("10",))
    assert (out.outgoing, out.incoming) == ((), ("10",))  # its end is not in the map
    assert [lane.roadblock_id for lane in (first, turn, second)] == ["1", "3", "2"]
    assert [lane.speed_limit for lane in (first, turn, second)] == [11.5, 5.0, None]
    assert [lane.is_connector for lane in (first, turn, second)] == [False, True, False]
    assert first.length == pytest.approx(30)
    assert first.baseline.shape == (31, 3)
    np.testing.assert_allclose(first.baseline[[0, -1]], [[x, y, 0], [x + 30, y, 0]], atol=1e-5)
    assert turn.polygon.area == pytest.approx(15 * 3.5, abs=1e-4)
    blocks = {i: index.roadblock(i) for i in ("1", "2", "3", "4")}
    assert [block.lane_ids for block in blocks.values()] == [("10",), ("11",), ("20",), ("21",)]
    assert [block.outgoing for block in blocks.values()] == [("3", "4"), (), ("2",), ()]
    assert [block.is_connector for block in blocks.values()] == [False, False, True, True]


def test_near_takes_a_square_and_touching_counts(tmp_path: Path):
    x, y = CENTRES[VEGAS]
    rng = np.random.default_rng(0)
    corners = [(10, 0), (0, 10), (10, 10), (-11, -11), *rng.uniform(-60, 60, (60, 2))]
    squares = [shapely.box(x + i, y + j, x + i + 1, y + j + 1) for i, j in corners]
    write_small(tmp_path, store_crs=PROJECTED_CRS[VEGAS], walkways=frame(list(range(100, 164)), squares))
    index = read_map(tmp_path, VEGAS)
    for radius in (0.0, 9.9, 10.0, 35.0):
        patch = shapely.box(x - radius, y - radius, x + radius, y + radius)
        expected = np.flatnonzero(shapely.intersects(squares, patch))
        np.testing.assert_array_equal(index.near("walkways", x, y, radius), expected)
        assert ({0, 1, 2, 3} <= set(expected)) == (radius >= 10)
    assert len(index.near("carpark_areas", x, y, 1e6)) == 0


def test_ids_survive_whatever_type_a_column_has(tmp_path: Path):
    """Real maps hold ids as integers, as floats with nulls, and as text with nulls."""
    layers = small_layers(*CENTRES[VEGAS])
    variants = (["10", "10"], [10.0, 10.0]), (["11", "99"], [11.0, None]), (["11", None], [11, 99])
    for number, (before, after) in enumerate([(variants[0][0], variants[1][0]), (variants[0][1], variants[1][1])]):
        connectors = layers["lane_connectors"].assign(exit_lane_fid=before, entry_lane_fid=after)
        write_small(tmp_path / str(number), lane_connectors=connectors)
        index = read_map(tmp_path / str(number), VEGAS)
        assert index.lane("10").outgoing == ("20", "21")
        assert index.lane("20").outgoing == ("11",)
    connectors = layers["lane_connectors"].assign(entry_lane_fid=variants[2][0])
    write_small(tmp_path / "text", lane_connectors=connectors)
    assert read_map(tmp_path / "text", VEGAS).lane("21").outgoing == ()


def test_absent_layers_and_columns_are_filled_in_for_the_official_tools(tmp_path: Path):
    path = write_small(tmp_path)
    counts = {str(name): len(pyogrio.read_dataframe(path, layer=name)) for name, _ in pyogrio.list_layers(path)}
    assert (counts["boundaries"], counts["stop_polygons"], counts["carpark_areas"], counts["meta"]) == (1, 1, 0, 2)
    lanes = pyogrio.read_dataframe(path, layer="lanes_polygons", fid_as_index=True)
    assert lanes.index.tolist() == lanes["lane_fid"].tolist() == [10, 11]
    assert {"lane_index", "left_boundary_fid", "right_boundary_fid"} <= set(lanes)
    connectors = pyogrio.read_dataframe(path, layer="lane_connectors", fid_as_index=True)
    assert connectors.index.tolist() == [20, 21]
    assert connectors["traffic_light_stop_line_fids"].tolist() == ["", ""]


def test_all_four_maps_are_there(tmp_path: Path):
    write_map_root(tmp_path, VEGAS)
    path = write_map(tmp_path, VEGAS, small_layers(*CENTRES[VEGAS]), PROJECTED_CRS[VEGAS])
    assert path == tmp_path / VEGAS / MAP_VERSIONS[VEGAS] / "map.gpkg"
    for location, crs in PROJECTED_CRS.items():
        index = read_map(tmp_path, location)
        assert index.projected_crs == crs.lower()
        assert len(index.layer("lane_connectors")) == (2 if location == VEGAS else 1)
    write_map_root(tmp_path / "other", VEGAS, version="7")
    assert (tmp_path / "other" / "us-ma-boston" / MAP_VERSIONS["us-ma-boston"] / "map.gpkg").is_file()
    assert write_map(tmp_path / "other", VEGAS, small_layers(*CENTRES[VEGAS]), "EPSG:32611", version="7").is_file()
    assert len(read_map(tmp_path / "other", VEGAS).layer("lane_connectors")) == 2


def test_the_same_map_is_written_in_the_same_bytes(tmp_path: Path):
    assert write_small(tmp_path / "a").read_bytes() == write_small(tmp_path / "b").read_bytes()


def test_a_map_is_read_once_and_anew_when_it_was_written_anew(tmp_path: Path):
    write_small(tmp_path)
    index = read_map(tmp_path, VEGAS)
    assert read_map(tmp_path, VEGAS) is index
    assert pickle.loads(pickle.dumps(index)) is index
    assert len(index.layer("walkways")) == 1
    write_small(tmp_path, walkways=frame([71, 72], [shapely.box(0, 0, 1, 1)] * 2))
    assert len(read_map(tmp_path, VEGAS).layer("walkways")) == 2


def test_what_the_official_tools_choke_on_is_refused(tmp_path: Path):
    layers = small_layers(*CENTRES[VEGAS])
    lanes, blocks = layers["lanes_polygons"], layers["lane_groups_polygons"]
    cases: dict[str, dict[str, geopandas.GeoDataFrame]] = {
        r"ids must differ .*; 10 comes twice": layers | {"lane_groups_polygons": blocks.assign(fid=[10, 2])},
        r"lanes_polygons lacks the columns \['speed_limit_mps'\]": layers
        | {"lanes_polygons": lanes.drop(columns="speed_limit_mps")},
        "needs every geometry to be a Polygon": layers
        | {"walkways": frame([1], [shapely.MultiPolygon([shapely.box(0, 0, 1, 1)])])},
        "unknown map layer 'lane_polygons'": layers | {"lane_polygons": lanes},
        r"needs the layers \['baseline_paths'\]": {k: v for k, v in layers.items() if k != "baseline_paths"},
    }
    for match, wrong in cases.items():
        with pytest.raises(ValueError, match=match):
            write_map(tmp_path, VEGAS, wrong, PROJECTED_CRS[VEGAS])
    assert list(tmp_path.rglob("*.gpkg")) == []


def test_a_lane_without_a_baseline_is_named(tmp_path: Path):
    layers = small_layers(*CENTRES[VEGAS])
    write_small(tmp_path, baseline_paths=layers["baseline_paths"].iloc[:1])
    index = read_map(tmp_path, VEGAS)
    assert index.lane("20").length == pytest.approx(15)
    with pytest.raises(UserError, match=r"lane 10 of layer lanes_polygons has no baseline"):
        index.lane("10")


def test_lines_of_two_points_have_one_heading(tmp_path: Path):
    x, y = CENTRES[VEGAS]
    layers = small_layers(x, y)
    lines = layers["baseline_paths"].assign(geometry=[straight(x, x - 1, y)] * 4)
    write_small(tmp_path, baseline_paths=lines)
    np.testing.assert_allclose(np.abs(read_map(tmp_path, VEGAS).lane("10").baseline[:, 2]), np.pi, atol=1e-4)
