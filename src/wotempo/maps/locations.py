"""The locations of NAVSIM: the map file of each below the maps root, and its coordinate system."""

from __future__ import annotations

from pathlib import Path

from wotempo.errors import UserError
from wotempo.navsim.files import read_bytes
from wotempo.navsim.text_files import parse_json

INDEX_NAME = "nuplan-maps-v1.0.json"
_MAPS = {
    "sg-one-north": ("9.17.1964", "EPSG:32648"),
    "us-ma-boston": ("9.12.1817", "EPSG:32619"),
    "us-nv-las-vegas-strip": ("9.15.1915", "EPSG:32611"),
    "us-pa-pittsburgh-hazelwood": ("9.17.1937", "EPSG:32617"),
}
MAP_VERSIONS = {location: version for location, (version, _) in _MAPS.items()}
PROJECTED_CRS = {location: crs for location, (_, crs) in _MAPS.items()}


def map_path(maps_root: Path, location: str) -> Path:
    """The GeoPackage of a location. Raises UserError when the index or the location's entry is missing."""
    index_path = maps_root / INDEX_NAME
    if not index_path.is_file():
        raise UserError(f"{index_path}: is missing; set NUPLAN_MAPS_ROOT to the folder that holds {INDEX_NAME}")
    try:
        version = parse_json(read_bytes(index_path))[location]["version"]
        if not isinstance(version, str) or not version or version != Path(version).name:
            raise ValueError(f"the version is {version!r}, which names no folder")
        if location != Path(location).name:
            raise ValueError("a location names a folder")
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{index_path}: no version for the location {location!r} ({error!r})") from error
    return maps_root / location / version / "map.gpkg"
