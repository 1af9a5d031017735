"""A map that is missing, cut, or damaged is named; none is half read."""

from __future__ import annotations

import json
import resource
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio
import pytest
from maps_builders import small_layers

from wotempo.errors import UserError
from wotempo.maps import MapIndex, read_map
from wotempo.maps.writer import write_map

LOCATION = "us-nv-las-vegas-strip"


@pytest.fixture
def root(golden_maps: Path, tmp_path: Path) -> Path:
    return shutil.copytree(golden_maps, tmp_path / "maps")


def gpkg(root: Path) -> Path:
    return root / LOCATION / "9.15.1915" / "map.gpkg"


def read_everything(path: Path) -> MapIndex:
    index = MapIndex(path)
    for name in sorted(index.layer_names):
        index.layer(name)
    return index


def counts(index: MapIndex) -> dict[str, int]:
    return {name: len(index.layer(name)) for name in index.layer_names}


def test_missing_pieces_are_named(root: Path):
    with pytest.raises(UserError, match=r"nuplan-maps-v1\.0\.json: no version for the location 'us-ma-boston'"):
        read_map(root, "us-ma-boston")
    gpkg(root).unlink()
    with pytest.raises(UserError, match=r"9\.15\.1915/map\.gpkg: cannot be read \(No such file"):
        read_map(root, LOCATION)
    (root / "nuplan-maps-v1.0.json").write_text("{")
    with pytest.raises(UserError, match=r"nuplan-maps-v1\.0\.json: no version"):
        read_map(root, LOCATION)
    (root / "nuplan-maps-v1.0.json").unlink()
    with pytest.raises(UserError, match=r"nuplan-maps-v1\.0\.json: is missing; set NUPLAN_MAPS_ROOT"):
        read_map(root, LOCATION)


def test_a_cut_map_is_refused_wherever_it_was_cut(root: Path):
    path = gpkg(root)
    data = path.read_bytes()
    for end in [0, 1, 50, 99, 100, 4096, *np.linspace(5000, len(data) - 1, 10).astype(int)]:
        path.write_bytes(data[:end])
        with pytest.raises(UserError, match=r"map\.gpkg: (not a GeoPackage|truncated)"):
            read_everything(path)


def test_a_map_with_pages_of_zeros_is_never_half_read(root: Path):
    """A download into preallocated space: the size is right, the content is not."""
    path = gpkg(root)
    data = path.read_bytes()
    whole = counts(read_everything(path))
    refused = 0
    for start in range(4096, len(data), 7 * 4096):
        path.write_bytes(data[:start] + bytes(len(data) - start))
        try:
            survivor = read_everything(path)
        except UserError:
            refused += 1
        else:
            assert counts(survivor) == whole
    assert refused >= 10


def test_a_damaged_shape_is_refused(root: Path):
    path = gpkg(root)
    with closing(sqlite3.connect(path)) as database, database:
        fid, shape = database.execute("SELECT fid, geom FROM walkways LIMIT 1").fetchone()
        open_ring = shape[:-8] + b"\0" * 8
        database.execute("UPDATE walkways SET geom = ? WHERE fid = ?", (open_ring, fid))
    with pytest.raises(UserError, match=r"map\.gpkg: corrupt GeoPackage \(.*closed"):
        MapIndex(path).layer("walkways")


def change(root: Path, statement: str, *values: object) -> MapIndex:
    with closing(sqlite3.connect(gpkg(root))) as database, database:
        for trigger, *_ in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger}"')  # they call functions of GDAL
        database.execute(statement, values)
    return read_map(root, LOCATION)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_place_that_is_none_is_named(root: Path, value: float):
    with closing(sqlite3.connect(gpkg(root))) as database:
        fid, shape = database.execute("SELECT fid, geom FROM baseline_paths LIMIT 1").fetchone()
    spoilt = shape[:-16] + np.array([value, 3e6]).tobytes()
    index = change(root, "UPDATE baseline_paths SET geom = ? WHERE fid = ?", spoilt, fid)
    with pytest.raises(UserError, match=rf"map\.gpkg: feature {fid} of layer baseline_paths lies at \["):
        index.load()


SPEEDS = {-3.0: "the speed_limit_mps -3", 1e9: r"the speed_limit_mps 1e\+09", np.inf: "the speed_limit_mps inf"}


@pytest.mark.parametrize("value", SPEEDS)
def test_a_speed_limit_that_is_none_is_named(root: Path, value: object):
    index = change(root, "UPDATE lane_connectors SET speed_limit_mps = ?", value)
    with pytest.raises(UserError, match=rf"map\.gpkg: .*layer lane_connectors.*{SPEEDS[value]}"):
        index.load()


def test_a_speed_limit_that_is_text_is_named(root: Path):
    change(root, "ALTER TABLE lane_connectors DROP COLUMN speed_limit_mps")
    index = change(root, "ALTER TABLE lane_connectors ADD COLUMN speed_limit_mps TEXT DEFAULT 'fast'")
    with pytest.raises(UserError, match="layer lane_connectors holds a speed_limit_mps that is no number"):
        index.load()


def test_a_lane_without_a_shape_is_named_where_it_is_asked_for(root: Path):
    whole = read_map(root, LOCATION)
    lane, roadblock = whole.layer("lanes_polygons").ids[0], whole.layer("lane_groups_polygons").ids[0]
    index = change(root, "UPDATE lanes_polygons SET geom = NULL WHERE fid = ?", int(lane))
    with pytest.raises(UserError, match=rf"lane {lane} of layer lanes_polygons has no baseline or no polygon"):
        index.lane(lane)
    index = change(root, "UPDATE lane_groups_polygons SET geom = NULL WHERE fid = ?", int(roadblock))
    with pytest.raises(UserError, match=rf"roadblock {roadblock} of layer lane_groups_polygons has no polygon"):
        index.roadblock(roadblock)


@pytest.mark.parametrize("text", ["epsg:1", "EPSG:32611; DROP", "", "../x"])
def test_a_coordinate_system_that_is_none_is_named(root: Path, text: str):
    index = change(root, "UPDATE meta SET value = ? WHERE key = 'projectedCoordSystem'", text)
    with pytest.raises(UserError, match=r"map\.gpkg: corrupt GeoPackage"):
        index.load()


@pytest.mark.parametrize("version", ["../9.15.1915", "", 9, "/etc"])
def test_a_version_that_is_no_folder_is_refused(root: Path, version: object):
    (root / "nuplan-maps-v1.0.json").write_text(json.dumps({LOCATION: {"version": version}}))
    with pytest.raises(UserError, match=r"nuplan-maps-v1\.0\.json: no version for the location"):
        read_map(root, LOCATION)


def test_a_layer_without_a_needed_column_is_refused(root: Path):
    with closing(sqlite3.connect(gpkg(root))) as database, database:
        database.execute("ALTER TABLE lane_connectors DROP COLUMN entry_lane_fid")
    with pytest.raises(UserError, match=r"map\.gpkg: layer lane_connectors lacks the columns \['entry_lane_fid'\]"):
        read_map(root, LOCATION).lane("1")


def test_other_files_are_no_maps(root: Path):
    gpkg(root).write_bytes(b"<html>not found</html>" * 10)
    with pytest.raises(UserError, match=r"map\.gpkg: not a GeoPackage"):
        read_map(root, LOCATION)


def test_a_map_without_its_coordinate_system_is_refused(tmp_path: Path):
    layers = small_layers(664_000, 3_996_000)
    path = tmp_path / "map.gpkg"
    pyogrio.write_dataframe(layers["walkways"].set_crs("EPSG:32611"), path, layer="walkways", driver="GPKG")
    with pytest.raises(UserError, match="has no layer meta"):
        MapIndex(path)


def test_a_full_disk_leaves_no_map_behind(tmp_path: Path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    try:
        with pytest.raises(UserError, match=r"map\.gpkg: cannot be written"):
            write_map(tmp_path, LOCATION, small_layers(664_000, 3_996_000), "EPSG:32611")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
