"""Reading one layer of a nuPlan GeoPackage, reprojected to the map's metric coordinates."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wotempo.errors import UserError
from wotempo.maps.layers import ESSENTIAL

FARTHEST = 1e8  # metres; UTM reaches 1e7
SPEED_LIMIT = "speed_limit_mps"
FASTEST = 200.0  # m/s


@dataclass(frozen=True)
class MapLayer:
    """One layer: row i of everything belongs to feature i, in the file's order."""

    ids: np.ndarray  # (n,) str, the decimal feature ids
    geometry: np.ndarray  # (n,) shapely, metres (UTM)
    columns: dict[str, np.ndarray]  # (n,) each; integer columns that hold nulls come as float with NaN

    def __len__(self) -> int:
        return len(self.ids)

    def id_column(self, name: str) -> np.ndarray:
        """(n,) str: a column of feature ids in the form of ``ids``; "" where it is null."""
        return as_ids(self.columns[name])


def as_ids(values: np.ndarray) -> np.ndarray:
    """Decimal strings of feature ids, whether a file holds them as integers, floats with NaN, or text; null -> ""."""
    if values.dtype.kind in "iu":
        return values.astype(np.str_)
    if values.dtype.kind == "f":
        present = np.isfinite(values)
        return np.where(present, np.where(present, values, 0).astype(np.int64).astype(np.str_), "")
    return np.array(["" if value is None else str(value) for value in values], np.str_)


def read_layer(path: Path, name: str, projected_crs: str) -> MapLayer:
    """One layer in ``projected_crs``. Raises UserError naming file and layer when missing, incomplete or damaged."""
    import geopandas  # with pandas and pyarrow 100 MB: a process that reads no map goes without
    import shapely

    meta, fids, geometry, columns = _read(path, name)
    try:
        with np.errstate(invalid="ignore"):  # of a coordinate that is NaN: found below
            shapes = shapely.from_wkb(geometry)
    except shapely.errors.ShapelyError as error:
        raise _damaged(path, error) from error
    if meta["crs"] is None:
        raise UserError(f"{path}: layer {name} names no coordinate system; the map is incomplete, fetch it again")
    required = ESSENTIAL[name].required if name in ESSENTIAL else ()
    if missing := sorted(set(required) - set(meta["fields"])):
        raise UserError(f"{path}: layer {name} lacks the columns {missing}; the map is incomplete, fetch it again")
    if len(shapes):
        try:
            shapes = geopandas.GeoSeries(shapes, crs=meta["crs"]).to_crs(projected_crs).to_numpy()
        except Exception as error:  # a damaged file may name any coordinate system, and hold any shape
            raise _damaged(path, error) from error
    layer = MapLayer(as_ids(np.asarray(fids, np.int64)), shapes, dict(zip(meta["fields"], columns, strict=True)))
    _check(path, name, layer)
    return layer


def _check(path: Path, name: str, layer: MapLayer) -> None:
    """UserError naming the first feature whose place or speed limit is none. Features without a geometry stay: who asks
    for one is told."""
    import shapely

    places, owner = shapely.get_coordinates(layer.geometry, return_index=True)
    if (wrong := ~(abs(places) <= FARTHEST).all(1)).any():
        raise UserError(
            f"{path}: feature {layer.ids[owner[wrong]][0]} of layer {name} lies at {places[wrong][0].tolist()}, "
            "which is no place in its coordinates; fetch the map again"
        )
    try:
        limits = layer.columns.get(SPEED_LIMIT, np.zeros(len(layer)))
        speeds = np.array([np.nan if limit is None else limit for limit in limits.tolist()], np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: layer {name} holds a {SPEED_LIMIT} that is no number ({error})") from error
    if (wrong := ~(np.isnan(speeds) | ((speeds >= 0) & (speeds <= FASTEST)))).any():
        raise UserError(
            f"{path}: feature {layer.ids[wrong][0]} of layer {name} has the {SPEED_LIMIT} {speeds[wrong][0]:g}, which "
            "is none; fetch the map again"
        )


def read_projected_crs(path: Path) -> str:
    """``projectedCoordSystem`` of the ``meta`` table, for example "epsg:32611"."""
    meta, _, _, columns = _read(path, "meta")
    table = dict(zip(meta["fields"], columns, strict=True))
    for key, value in zip(table.get("key", ()), table.get("value", ()), strict=True):
        if key == "projectedCoordSystem" and isinstance(value, str):
            return value
    raise UserError(f"{path}: table meta has no projectedCoordSystem; the map is incomplete, fetch it again")


def layer_names(path: Path) -> list[str]:
    """Names of all layers. Raises UserError when the file is missing or damaged."""
    import pyogrio

    _require_whole(path)
    try:
        return [str(name) for name in pyogrio.list_layers(path)[:, 0]]
    except (MemoryError, OSError):
        raise
    except Exception as error:  # as above
        raise _damaged(path, error) from error


def _read(path: Path, name: str) -> tuple[dict[str, Any], np.ndarray, np.ndarray, list[np.ndarray]]:
    """(description, feature ids, WKB, one array per column)."""
    import pyogrio

    _require_whole(path)
    try:
        with warnings.catch_warnings():
            # GDAL comments on old GeoPackage versions; the real maps are such.
            warnings.simplefilter("ignore", RuntimeWarning)
            return pyogrio.raw.read(path, layer=name, return_fids=True, force_2d=True)
    except pyogrio.errors.DataLayerError as error:
        raise UserError(f"{path}: has no layer {name} ({error})") from error
    except (MemoryError, OSError):
        raise
    except Exception as error:  # GDAL and SQLite have many, and their texts may be no text
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: corrupt GeoPackage ({error}); fetch it again")


def _require_whole(path: Path) -> None:
    """SQLite opens a cut file and fails only at the missing pages, or not at all; its header knows the true size."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
        size = path.stat().st_size
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check NUPLAN_MAPS_ROOT") from error
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        raise UserError(f"{path}: not a GeoPackage; fetch it again")
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    pages = int.from_bytes(header[28:32], "big")
    if header[24:28] == header[92:96] and size < page * pages:  # else an old writer left the page count stale
        raise UserError(f"{path}: truncated, {size} of {page * pages} bytes; fetch it again")
