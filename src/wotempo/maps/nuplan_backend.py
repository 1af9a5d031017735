"""The maps of nuplan-devkit behind the interface of ``MapIndex``: a second opinion on our own reader.

nuplan-devkit is no dependency of this project (``make setup WITH=nuplan`` installs it). It loads all four locations,
takes seconds per layer and writes lock files below the maps root; nothing of the project needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wotempo.errors import UserError
from wotempo.maps.gpkg import MapLayer, as_ids
from wotempo.maps.index import Lane, MapIndex, Roadblock
from wotempo.maps.locations import INDEX_NAME, map_path

try:
    from nuplan.common.actor_state.state_representation import Point2D
    from nuplan.common.maps.maps_datatypes import SemanticMapLayer
    from nuplan.common.maps.nuplan_map.map_factory import get_maps_api, get_maps_db
except ImportError as error:
    raise UserError(f"nuplan-devkit cannot be imported ({error}): install it by `make setup WITH=nuplan`") from error

VERSION = INDEX_NAME.removesuffix(".json")
# The layers whose objects its API hands out, by their names in the file.
OBJECTS = {
    "lanes_polygons": SemanticMapLayer.LANE,
    "lane_connectors": SemanticMapLayer.LANE_CONNECTOR,
    "lane_groups_polygons": SemanticMapLayer.ROADBLOCK,
    "lane_group_connectors": SemanticMapLayer.ROADBLOCK_CONNECTOR,
    "intersections": SemanticMapLayer.INTERSECTION,
    "carpark_areas": SemanticMapLayer.CARPARK_AREA,
    "crosswalks": SemanticMapLayer.CROSSWALK,
    "walkways": SemanticMapLayer.WALKWAYS,
    "stop_polygons": SemanticMapLayer.STOP_LINE,
}


class NuplanMap(MapIndex):
    """One location, answered by nuplan-devkit; every question of ``MapIndex`` has the same meaning here."""

    def __init__(self, maps_root: Path, location: str) -> None:
        """UserError where the location or its file is missing."""
        super().__init__(map_path(maps_root, location))
        self.maps_root, self.location = maps_root, location
        self._database = get_maps_db(str(maps_root), VERSION)
        self._api = get_maps_api(str(maps_root), VERSION, location)

    def __reduce__(self) -> tuple[Callable[..., NuplanMap], tuple[Any, ...]]:
        return NuplanMap, (self.maps_root, self.location)

    def load(self) -> None:
        """Read what the lane graph and the drivable areas are made of."""
        for name in ("lanes_polygons", "lane_connectors", "baseline_paths", "intersections", "carpark_areas"):
            self.layer(name)

    def layer(self, name: str) -> MapLayer:
        if name not in self.layer_names:
            raise UserError(f"{self.path}: has no layer {name}")
        if name not in self._layers:
            frame = self._database.load_vector_layer(self.location, name)
            columns = {column: frame[column].to_numpy() for column in frame.columns.difference(["geometry", "fid"])}
            self._layers[name] = MapLayer(as_ids(frame.index.to_numpy()), frame.geometry.to_numpy(), columns)
        return self._layers[name]

    def near(self, layer: str, x: float, y: float, radius: float) -> np.ndarray:
        """As ``MapIndex.near``, of the layers in OBJECTS; UserError for others."""
        if layer not in OBJECTS:
            raise UserError(f"nuplan-devkit finds no objects of the layer {layer} by place: use wotempo.maps.read_map")
        wanted = OBJECTS[layer]
        found = self._api.get_proximal_map_objects(Point2D(x, y), radius, [wanted])[wanted]
        rows = {id_: row for row, id_ in enumerate(self.layer(layer).ids.tolist())}
        return np.array([rows[str(thing.id)] for thing in found], np.intp)

    def _build_lane(self, lane_id: str) -> Lane:
        layer, lane = self._object(lane_id, ("lanes_polygons", "lane_connectors"), "lane or lane connector")
        path = lane.baseline_path
        return Lane(
            id=lane_id,
            polygon=lane.polygon,
            baseline=np.array([(state.x, state.y, state.heading) for state in path.discrete_path]),
            length=float(path.length),
            roadblock_id=str(lane.get_roadblock_id()),
            speed_limit=lane.speed_limit_mps,
            is_connector=layer == "lane_connectors",
            outgoing=self._there(lane.outgoing_edges, ("lanes_polygons", "lane_connectors")),
            incoming=self._there(lane.incoming_edges, ("lanes_polygons", "lane_connectors")),
        )

    def _build_roadblock(self, roadblock_id: str) -> Roadblock:
        layers = ("lane_groups_polygons", "lane_group_connectors")
        layer, block = self._object(roadblock_id, layers, "roadblock")
        return Roadblock(
            id=roadblock_id,
            polygon=block.polygon,
            lane_ids=tuple(str(lane.id) for lane in block.interior_edges),
            outgoing=self._there(block.outgoing_edges, layers),
            incoming=self._there(block.incoming_edges, layers),
            is_connector=layer == "lane_group_connectors",
        )

    def _object(self, id_: str, layers: tuple[str, ...], what: str) -> tuple[str, Any]:
        """(layer, the devkit's object)."""
        for layer in layers:
            if id_ in self.layer(layer).ids:
                return layer, self._api.get_map_object(id_, OBJECTS[layer])
        raise UserError(f"{self.path}: no {what} has the id {id_!r}; is it the log's map?")

    def _there(self, edges: list[Any], layers: tuple[str, ...]) -> tuple[str, ...]:
        """Ids of the edges that the map holds: the devkit also hands out ends that lie outside of a cut map."""
        return tuple(str(edge.id) for edge in edges if any(str(edge.id) in self.layer(name).ids for name in layers))
