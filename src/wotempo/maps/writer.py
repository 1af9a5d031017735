"""Writing maps that the official tools accept."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import shapely

from wotempo.errors import UserError
from wotempo.maps.layers import ESSENTIAL, LAYERS, POOLED_IDS, LayerSpec
from wotempo.maps.locations import INDEX_NAME, MAP_VERSIONS, PROJECTED_CRS
from wotempo.navsim.files import atomic_path, write_bytes

GEOGRAPHIC_CRS = "EPSG:4326"
_NO_FEATURES_ALLOWED = ("boundaries", "stop_polygons")  # the official code expects at least one row in each
_GDAL_OPTIONS = {
    "OGR_CURRENT_DATE": "2000-01-01T00:00:00Z",  # else two writings of the same map differ
    "OGR_SQLITE_SYNCHRONOUS": "OFF",  # a rename publishes the file; waiting for the disk per layer takes seconds
}


def write_map(
    maps_root: Path,
    location: str,
    layers: dict[str, geopandas.GeoDataFrame],
    projected_crs: str,
    store_crs: str = GEOGRAPHIC_CRS,
    version: str | None = None,
) -> Path:
    """Write ``<location>/<version>/map.gpkg`` with all layers of the format and ``meta``; atomic. Returns its path.

    layers: by GeoPackage name, geometry in ``projected_crs`` metres, an integer column ``fid`` and the required columns
    of ``layers.ESSENTIAL``; optional columns and absent layers are filled in. ``store_crs``: EPSG:4326 as in the real
    maps, or ``projected_crs`` itself. Raises ValueError for what the official tools would choke on, UserError when the
    disk is full.
    """
    frames = _complete({name: _complete_columns(name, frame) for name, frame in layers.items()})
    _check_ids(frames)
    path = maps_root / location / (version or MAP_VERSIONS[location]) / "map.gpkg"
    _write(path, frames, projected_crs, store_crs)
    return path


def write_map_root(maps_root: Path, location: str, version: str | None = None) -> None:
    """Write the index of all four locations, and stubs for those other than ``location``: the official API opens all
    four maps before it serves one. Raises UserError when the disk is full."""
    versions = {**MAP_VERSIONS, location: version or MAP_VERSIONS[location]}
    for other, crs in PROJECTED_CRS.items():
        if other != location:
            stub = {"lane_connectors": _stub_connectors()}
            _write(maps_root / other / versions[other] / "map.gpkg", stub, crs, crs)
    index = {name: {"version": versions[name], "layers": {}} for name in MAP_VERSIONS}
    write_bytes(maps_root / INDEX_NAME, json.dumps(index).encode())


def _write(path: Path, frames: dict[str, geopandas.GeoDataFrame], projected_crs: str, store_crs: str) -> None:
    systems = {"geographicCoordSystem": GEOGRAPHIC_CRS.lower(), "projectedCoordSystem": projected_crs.lower()}
    meta = pd.DataFrame(systems.items(), columns=["key", "value"])
    pyogrio.set_gdal_config_options(_GDAL_OPTIONS)
    try:
        with atomic_path(path, suffix=".gpkg") as temporary:
            for name, frame in frames.items():
                stored = frame.set_crs(projected_crs, allow_override=True).to_crs(store_crs)
                options = {"FID": "fid", "SPATIAL_INDEX": "NO"}  # read whole, never by window
                kind = LAYERS[name].geometry
                pyogrio.write_dataframe(
                    stored, temporary, layer=name, driver="GPKG", geometry_type=kind, layer_options=options
                )
            pyogrio.write_dataframe(meta, temporary, layer="meta", driver="GPKG")
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError) as error:
        raise UserError(f"{path}: cannot be written ({error}); check free space of {path.parent}") from error
    finally:
        pyogrio.set_gdal_config_options(dict.fromkeys(_GDAL_OPTIONS))


def _complete_columns(name: str, frame: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    spec = LAYERS.get(name)
    if spec is None:
        raise ValueError(f"unknown map layer {name!r}; a map has {sorted(LAYERS)}")
    if missing := [column for column in ("fid", *spec.required) if column not in frame]:
        raise ValueError(f"map layer {name} lacks the columns {missing}")
    if set(frame.geometry.geom_type) - {spec.geometry}:
        raise ValueError(f"map layer {name} needs every geometry to be a {spec.geometry}")
    frame = frame.assign(**{column: value for column, value in spec.optional.items() if column not in frame})
    return frame.assign(lane_fid=frame["fid"]) if name == "lanes_polygons" else frame


def _complete(frames: dict[str, geopandas.GeoDataFrame]) -> dict[str, geopandas.GeoDataFrame]:
    """All ten essential layers in the format's order, then the rest."""
    needed = [name for name, spec in ESSENTIAL.items() if spec.required or name == "lane_groups_polygons"]
    if missing := [name for name in needed if name not in frames]:
        raise ValueError(f"a map needs the layers {missing}")
    origin = frames["lanes_polygons"].total_bounds[:2] - 1000.0  # a placeholder far from every street
    return {name: _placeholder(name, spec, origin) for name, spec in ESSENTIAL.items()} | frames


def _placeholder(name: str, spec: LayerSpec, origin: np.ndarray) -> geopandas.GeoDataFrame:
    x, y = origin
    shapes = {"Polygon": shapely.box(x, y, x + 1, y + 1), "LineString": shapely.LineString([(x, y), (x + 1, y)])}
    count = 1 if name in _NO_FEATURES_ALLOWED else 0
    columns = {"fid": [1], **{column: [value] for column, value in spec.optional.items()}}
    return geopandas.GeoDataFrame(columns, geometry=[shapes[spec.geometry]]).iloc[:count]


def _check_ids(frames: dict[str, geopandas.GeoDataFrame]) -> None:
    pooled = pd.concat([frames[name]["fid"] for name in POOLED_IDS])
    if repeated := pooled[pooled.duplicated()].tolist():
        raise ValueError(f"feature ids must differ across the layers {POOLED_IDS}; {repeated[0]} comes twice")


def _stub_connectors() -> geopandas.GeoDataFrame:
    spec = ESSENTIAL["lane_connectors"]
    columns = {"fid": [1], **{name: [0] for name in spec.required}}
    line = shapely.LineString([(500000.0, 100000.0), (500001.0, 100000.0)])
    return _complete_columns("lane_connectors", geopandas.GeoDataFrame(columns, geometry=[line]))
