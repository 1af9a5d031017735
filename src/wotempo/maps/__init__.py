"""nuPlan GPKG maps: layers, spatial look-up, lane graph; reading and writing."""

from wotempo.maps.gpkg import MapLayer
from wotempo.maps.index import Lane, MapIndex, Roadblock, map_contents, read_map
from wotempo.maps.locations import MAP_VERSIONS, PROJECTED_CRS
from wotempo.maps.roads import on_road

__all__ = [
    "MAP_VERSIONS",
    "PROJECTED_CRS",
    "Lane",
    "MapIndex",
    "MapLayer",
    "Roadblock",
    "map_contents",
    "on_road",
    "read_map",
]
