"""Districts -> the layers of a nuPlan map.

Feature ids are unique over all layers: the district's base, plus a block per layer, plus the index in the network.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import geopandas
import shapely
from shapely.affinity import translate
from shapely.geometry import LineString, Polygon

from wotempo.city.sensors.town import LOCATION, PROJECTED_CRS, District
from wotempo.city.streets.district import element_polygon
from wotempo.city.streets.network import LEFT, RIGHT, STRAIGHT
from wotempo.city.streets.roads import OVERLAP
from wotempo.maps.writer import write_map, write_map_root

Feature = tuple[str, shapely.Geometry, dict[str, Any]]  # GeoPackage layer, shape in local metres, columns

DISTRICT_BLOCK = 100_000
_BLOCKS = {
    "element": 0, "group": 10_000, "intersection": 20_000, "car_park": 21_000, "stop": 22_000, "crosswalk": 23_000,
    "walkway": 24_000, "road": 25_000, "shoulder": 26_000, "surface": 30_000, "baseline": 40_000, "boundary": 50_000,
}  # fmt: skip
_TURN_TYPE = {STRAIGHT: 0, LEFT: 1, RIGHT: 2}
_STOP_TYPE_LIGHT, _STOP_TYPE_YIELD, _STOP_TYPE_WALKERS = 2, 4, 0


def feature_id(district: int, kind: str, index: int) -> int:
    """The fid of one thing of a district; ``kind``: a lane or connector is an "element", a roadblock a "group"."""
    return (district + 1) * DISTRICT_BLOCK + _BLOCKS[kind] + index


def write_town_map(maps_root: Path, districts: Sequence[District]) -> None:
    """The town's one map file, then the index and the stubs of the other locations. UserError when the disk is full."""
    write_map(maps_root, LOCATION, town_layers(districts), PROJECTED_CRS)
    write_map_root(maps_root, LOCATION)


def town_layers(districts: Sequence[District]) -> dict[str, geopandas.GeoDataFrame]:
    """All layers by GeoPackage name, geometry in global metres."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for district in districts:
        for layer, shape, columns in chain(_lanes(district), _groups(district), _areas(district), _stops(district)):
            rows[layer].append({**columns, "geometry": translate(shape, *district.origin)})
    return {name: geopandas.GeoDataFrame(features, crs=PROJECTED_CRS) for name, features in rows.items()}


def _lanes(district: District) -> Iterator[Feature]:
    """Lanes, connectors, their centre lines, surfaces and boundaries."""
    d, network = district.index, district.network
    signalised = {element for element, _, _ in network.phases}
    stop_of = {group: feature_id(d, "stop", k) for k, (group, _, _) in enumerate(network.stop_lines)}
    for k, element in enumerate(network.elements):
        fid, group = feature_id(d, "element", k), feature_id(d, "group", element.group)
        sides = {}
        for j, (side, offset) in enumerate((("left", element.width / 2), ("right", -element.width / 2))):
            edge = LineString(element.line.parallel(offset)).simplify(0.01)
            sides[f"{side}_boundary_fid"] = feature_id(d, "boundary", 2 * k + j)
            yield "boundaries", edge, {"fid": sides[f"{side}_boundary_fid"], "boundary_type_fid": 0}
        centre, surface = LineString(element.line.points), element_polygon(element)
        none = float("nan")  # a null in a float column is what the official look-up survives
        yield "baseline_paths", centre, {
            "fid": feature_id(d, "baseline", k), "path_type_fid": 0,
            "lane_fid": none if element.connector else float(fid),
            "lane_connector_fid": float(fid) if element.connector else none,
        }  # fmt: skip
        if not element.connector:
            index = network.groups[element.group].elements.index(k)
            yield "lanes_polygons", surface, {
                "fid": fid, "lane_group_fid": group, "lane_index": index, "speed_limit_mps": element.speed_limit,
                **sides,
            }  # fmt: skip
            continue
        source, target = element.before[0], element.after[0]
        groups = [network.elements[e].group for e in (source, target)]
        node_areas = [i for i, (n, _) in enumerate(network.intersections) if n == element.node]
        yield "lane_connectors", centre, {
            "fid": fid, "exit_lane_fid": feature_id(d, "element", source),
            "entry_lane_fid": feature_id(d, "element", target), "lane_group_connector_fid": group,
            "exit_lane_group_fid": feature_id(d, "group", groups[0]),
            "entry_lane_group_fid": feature_id(d, "group", groups[1]),
            "speed_limit_mps": element.speed_limit, "turn_type_fid": _TURN_TYPE[element.turn],
            "intersection_fid": feature_id(d, "intersection", node_areas[0]),
            "traffic_light_stop_line_fids": str(stop_of[groups[0]]) if k in signalised else "",
        }  # fmt: skip
        columns = {"fid": feature_id(d, "surface", k), "lane_connector_fid": fid, **sides}
        yield "gen_lane_connectors_scaled_width_polygons", surface, columns


def _groups(district: District) -> Iterator[Feature]:
    """Lane groups and their connectors."""
    for k, group in enumerate(district.network.groups):
        columns = {"fid": feature_id(district.index, "group", k)}
        if group.connector:
            columns["from_lane_group_fid"] = feature_id(district.index, "group", group.before[0])
            columns["to_lane_group_fid"] = feature_id(district.index, "group", group.after[0])
        yield "lane_group_connectors" if group.connector else "lane_groups_polygons", group.polygon, columns


def _areas(district: District) -> Iterator[Feature]:
    """Surfaces that have nothing but a shape and an id; car parks have a heading as well."""
    network, around = district.network, district.surroundings
    layers: tuple[tuple[str, str, Iterable[Polygon]], ...] = (
        ("intersections", "intersection", (surface for _, surface in network.intersections)),
        ("crosswalks", "crosswalk", (crosswalk.polygon for crosswalk in network.crosswalks)),
        ("walkways", "walkway", around.walkways),
        ("road_segments", "road", around.road_bands),
        ("generic_drivable_areas", "shoulder", around.shoulders),
    )
    for layer, kind, polygons in layers:
        for k, polygon in enumerate(polygons):
            yield layer, polygon, {"fid": feature_id(district.index, kind, k)}
    for k, park in enumerate(around.car_parks):
        columns = {"fid": feature_id(district.index, "car_park", k), "heading": park.heading}
        yield "carpark_areas", park.polygon, columns


def _stops(district: District) -> Iterator[Feature]:
    """Stop lines of junctions, then the areas before crosswalks between junctions."""
    network = district.network
    stops = [(line, _STOP_TYPE_LIGHT if signal else _STOP_TYPE_YIELD) for _, line, signal in network.stop_lines]
    between = [crosswalk.polygon for crosswalk in network.crosswalks if crosswalk.node < 0]
    stops += [(polygon.buffer(OVERLAP, join_style="mitre"), _STOP_TYPE_WALKERS) for polygon in between]
    for k, (polygon, kind) in enumerate(stops):
        columns = {"fid": feature_id(district.index, "stop", k), "stop_polygon_type_fid": kind}
        yield "stop_polygons", polygon, columns
