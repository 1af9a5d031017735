"""A map that is missing, cut, or damaged is named; none is half read."""

from __future__ import annotations

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
from wotempo.maps import MapIndex, read_map, write_map

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
