"""A map in memory: layers with a spatial index, and the lane graph.

Coordinates are the map's UTM metres. Ids are the decimal strings of the GeoPackage feature ids, as in the logs'
``roadblock_ids``. Roadblock is nuPlan's name for a lane group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import shapely

from wotempo.errors import UserError
from wotempo.maps.gpkg import SPEED_LIMIT, MapLayer, layer_names, read_layer, read_projected_crs
from wotempo.maps.graph import LaneTable, RoadblockTable, build_lane_table, build_roadblock_table
from wotempo.maps.locations import map_path
from wotempo.navsim.files import sha256_of


@dataclass(frozen=True)
class Lane:
    """A lane or a lane connector. The ids in ``outgoing`` and ``incoming`` exist in the map."""

    id: str
    polygon: shapely.Polygon
    baseline: np.ndarray  # (M, 3) float64: the raw vertices and the heading to the next one; the last repeats
    length: float  # of the baseline, metres
    roadblock_id: str
    speed_limit: float | None  # m/s; None where the map has none
    is_connector: bool
    outgoing: tuple[str, ...]
    incoming: tuple[str, ...]


@dataclass(frozen=True)
class Roadblock:
    """A lane group or a lane group connector. The ids in ``outgoing`` and ``incoming`` exist in the map."""

    id: str
    polygon: shapely.Polygon
    lane_ids: tuple[str, ...]
    outgoing: tuple[str, ...]
    incoming: tuple[str, ...]
    is_connector: bool


class MapIndex:
    """One location's map; reads each layer from disk when it is first asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.projected_crs = read_projected_crs(path)
        self.layer_names = frozenset(layer_names(path)) - {"meta"}
        self._layers: dict[str, MapLayer] = {}
        self._trees: dict[str, shapely.STRtree] = {}
        self._lanes: dict[str, Lane] = {}
        self._roadblocks: dict[str, Roadblock] = {}

    def __reduce__(self) -> tuple[Callable[[Path], MapIndex], tuple[Path]]:
        """Travels to worker processes as its path; each of them reads the file once."""
        return _open, (self.path,)

    @cached_property
    def content(self) -> str:
        """sha256 of the file."""
        return sha256_of(self.path)

    def load(self) -> None:
        """Read the lane graph and the drivable areas now. Raises UserError when a layer is missing or damaged."""
        _ = self._lane_table, self._roadblock_table
        for name in ("intersections", "carpark_areas"):
            self.layer(name)

    def layer(self, name: str) -> MapLayer:
        """A layer by its GeoPackage name. Raises UserError when the map has none of that name, or it is damaged."""
        if name not in self._layers:
            self._layers[name] = read_layer(self.path, name, self.projected_crs)
        return self._layers[name]

    def near(self, layer: str, x: float, y: float, radius: float) -> np.ndarray:
        """Rows (k,) int of a layer whose geometry intersects the axis-aligned square of half side ``radius`` [m],
        in the file's order."""
        if layer not in self._trees:
            self._trees[layer] = shapely.STRtree(self.layer(layer).geometry)
        square = shapely.box(x - radius, y - radius, x + radius, y + radius)
        return np.sort(self._trees[layer].query(square, predicate="intersects"))

    def lane(self, lane_id: str) -> Lane:
        """A lane or lane connector. Raises UserError when the map has none of that id, or one without a baseline."""
        if lane_id not in self._lanes:
            self._lanes[lane_id] = self._build_lane(lane_id)
        return self._lanes[lane_id]

    def roadblock(self, roadblock_id: str) -> Roadblock:
        """A lane group or lane group connector. Raises UserError when the map has none of that id."""
        if roadblock_id not in self._roadblocks:
            self._roadblocks[roadblock_id] = self._build_roadblock(roadblock_id)
        return self._roadblocks[roadblock_id]

    @cached_property
    def _lane_table(self) -> LaneTable:
        return build_lane_table(self.layer)

    @cached_property
    def _roadblock_table(self) -> RoadblockTable:
        return build_roadblock_table(self.layer)

    def _build_lane(self, lane_id: str) -> Lane:
        table = self._lane_table
        if lane_id not in table.rows:
            raise UserError(f"{self.path}: no lane or lane connector has the id {lane_id!r}; is it the log's map?")
        layer, row = table.rows[lane_id]
        if table.baselines.get(lane_id) is None or table.polygons.get(lane_id) is None:
            raise UserError(f"{self.path}: lane {lane_id} of layer {layer} has no baseline or no polygon")
        line = table.baselines[lane_id]
        if shapely.get_num_coordinates(line) < 2 or shapely.is_empty(table.polygons[lane_id]):
            raise UserError(f"{self.path}: lane {lane_id} of layer {layer} has an empty baseline or polygon")
        limit = self.layer(layer).columns[SPEED_LIMIT][row]
        return Lane(
            id=lane_id,
            polygon=table.polygons[lane_id],
            baseline=with_headings(shapely.get_coordinates(line)),
            length=float(line.length),
            roadblock_id=table.roadblocks[lane_id],
            speed_limit=None if limit is None or np.isnan(limit) else float(limit),
            is_connector=layer == "lane_connectors",
            outgoing=tuple(table.outgoing[lane_id]),
            incoming=tuple(table.incoming[lane_id]),
        )

    def _build_roadblock(self, roadblock_id: str) -> Roadblock:
        table = self._roadblock_table
        if roadblock_id not in table.rows:
            raise UserError(f"{self.path}: no roadblock has the id {roadblock_id!r}; is it the log's map?")
        layer, row = table.rows[roadblock_id]
        polygon = self.layer(layer).geometry[row]
        if polygon is None or polygon.is_empty:
            raise UserError(f"{self.path}: roadblock {roadblock_id} of layer {layer} has no polygon")
        return Roadblock(
            id=roadblock_id,
            polygon=polygon,
            lane_ids=tuple(table.lanes[roadblock_id]),
            outgoing=tuple(table.outgoing[roadblock_id]),
            incoming=tuple(table.incoming[roadblock_id]),
            is_connector=layer == "lane_group_connectors",
        )


def with_headings(points: np.ndarray) -> np.ndarray:
    """(M, 2) vertices, M ≥ 2 -> (M, 3) with the heading to the next vertex; the last one repeats."""
    steps = np.diff(points, axis=0)
    headings = np.arctan2(steps[:, 1], steps[:, 0])
    return np.column_stack([points, np.append(headings, headings[-1])])


def read_map(maps_root: Path, location: str) -> MapIndex:
    """The map of a location; the same object for every call of a process.

    Raises UserError naming the file when it is missing, truncated or corrupt.
    """
    return _open(map_path(maps_root, location).resolve())


def map_contents(maps_root: Path, locations: Iterable[str]) -> dict[str, str]:
    """ "map of <location>" -> sha256 of its GeoPackage. Raises UserError as ``read_map``."""
    return {f"map of {location}": read_map(maps_root, location).content for location in sorted(set(locations))}


def _open(path: Path) -> MapIndex:
    # A map that was generated anew under the same name is another map.
    return _cached(path, path.stat().st_mtime_ns if path.is_file() else 0)


@cache
def _cached(path: Path, _modified: int) -> MapIndex:
    return MapIndex(path)
