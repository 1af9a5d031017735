"""Districts -> the layers of a nuPlan map.

Feature ids are unique over all layers: the district's base, plus a block per layer, plus the index in the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import shapely
from shapely.affinity import translate
from shapely.geometry import LineString, Polygon

from wotempo.city.sensors.town import LOCATION, PROJECTED_CRS, District
from wotempo.city.streets.district import element_polygon
from wotempo.city.streets.network import LEFT, RIGHT, STRAIGHT
from wotempo.city.streets.roads import OVERLAP
from wotempo.maps.writer import write_map, write_map_root

DISTRICT_BLOCK = 100_000
_BLOCKS = {
    "element": 0, "group": 10_000, "intersection": 20_000, "car_park": 21_000, "stop": 22_000, "crosswalk": 23_000,
    "walkway": 24_000, "road": 25_000, "shoulder": 26_000, "surface": 30_000, "baseline": 40_000, "boundary": 50_000,
}  # fmt: skip
_LANE_LAYERS = (
    "lanes_polygons",
    "lane_connectors",
    "baseline_paths",
    "gen_lane_connectors_scaled_width_polygons",
    "boundaries",
)
_TURN_TYPE = {STRAIGHT: 0, LEFT: 1, RIGHT: 2}
_STOP_TYPE_LIGHT, _STOP_TYPE_YIELD, _STOP_TYPE_WALKERS = 2, 4, 0


def feature_id(district: int, kind: str, index: int) -> int:
    """The fid of one thing of a district; ``kind``: a lane or connector is an "element", a roadblock a "group"."""
    return (district + 1) * DISTRICT_BLOCK + _BLOCKS[kind] + index


def write_town_map(maps_root: Path, districts: Sequence[District]) -> None:
    """The town's one map file, then the index and the stubs of the other locations. UserError when the disk is full."""
    parts = [district_layers(district) for district in districts]
    layers = {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in parts[0]}
    write_map(maps_root, LOCATION, layers, PROJECTED_CRS)
    write_map_root(maps_root, LOCATION)


def district_layers(district: District) -> dict[str, geopandas.GeoDataFrame]:
    """All layers by GeoPackage name, geometry in global metres."""
    network, surroundings = district.network, district.surroundings
    layers = {
        **_lane_layers(district),
        **_group_layers(district),
        "intersections": _areas(district, "intersection", [p for _, p in network.intersections]),
        "crosswalks": _areas(district, "crosswalk", [c.polygon for c in network.crosswalks]),
        "stop_polygons": _stops(district),
        "walkways": _areas(district, "walkway", surroundings.walkways),
        "road_segments": _areas(district, "road", surroundings.road_bands),
        "generic_drivable_areas": _areas(district, "shoulder", surroundings.shoulders),
        "carpark_areas": _areas(district, "car_park", [park.polygon for park in surroundings.car_parks]).assign(
            heading=[park.heading for park in surroundings.car_parks]
        ),
    }
    for layer in layers.values():
        layer["geometry"] = [translate(shape, *district.origin) for shape in layer.geometry]
    return layers


def _areas(district: District, kind: str, polygons: Sequence[Polygon]) -> geopandas.GeoDataFrame:
    fids = [feature_id(district.index, kind, k) for k in range(len(polygons))]
    return geopandas.GeoDataFrame({"fid": np.array(fids, np.int64)}, geometry=list(polygons), crs=PROJECTED_CRS)


def _frame(rows: list[dict], shapes: list[shapely.Geometry]) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(rows, geometry=shapes, crs=PROJECTED_CRS)


def _lane_layers(district: District) -> dict[str, geopandas.GeoDataFrame]:
    """Lanes, connectors, their centre lines, surfaces and boundaries."""
    d, network = district.index, district.network
    rows: dict[str, list[dict]] = {name: [] for name in _LANE_LAYERS}
    shapes: dict[str, list[shapely.Geometry]] = {name: [] for name in _LANE_LAYERS}
    lanes, connectors, baselines, surfaces, boundaries = _LANE_LAYERS

    def add(layer: str, shape: shapely.Geometry, **columns: object) -> None:
        rows[layer].append(columns)
        shapes[layer].append(shape)

    signalised = {element for element, _, _ in network.phases}
    stop_of = {group: feature_id(d, "stop", k) for k, (group, _, _) in enumerate(network.stop_lines)}
    for k, element in enumerate(network.elements):
        fid, group = feature_id(d, "element", k), feature_id(d, "group", element.group)
        sides = {}
        for j, (side, offset) in enumerate((("left", element.width / 2), ("right", -element.width / 2))):
            edge = LineString(element.line.parallel(offset)).simplify(0.01)
            sides[f"{side}_boundary_fid"] = feature_id(d, "boundary", 2 * k + j)
            add(boundaries, edge, fid=sides[f"{side}_boundary_fid"], boundary_type_fid=0)
        centre = LineString(element.line.points)
        none = float("nan")  # a null in a float column is what the official look-up survives
        add(
            baselines, centre, fid=feature_id(d, "baseline", k), path_type_fid=0,
            lane_fid=none if element.connector else float(fid),
            lane_connector_fid=float(fid) if element.connector else none,
        )  # fmt: skip
        if not element.connector:
            index = network.groups[element.group].elements.index(k)
            add(
                lanes, element_polygon(element), fid=fid, lane_group_fid=group, lane_index=index,
                speed_limit_mps=element.speed_limit, **sides,
            )  # fmt: skip
            continue
        source, target = element.before[0], element.after[0]
        groups = [network.elements[e].group for e in (source, target)]
        node_areas = [i for i, (n, _) in enumerate(network.intersections) if n == element.node]
        add(
            connectors, centre, fid=fid, exit_lane_fid=feature_id(d, "element", source),
            entry_lane_fid=feature_id(d, "element", target), lane_group_connector_fid=group,
            exit_lane_group_fid=feature_id(d, "group", groups[0]),
            entry_lane_group_fid=feature_id(d, "group", groups[1]),
            speed_limit_mps=element.speed_limit, turn_type_fid=_TURN_TYPE[element.turn],
            intersection_fid=feature_id(d, "intersection", node_areas[0]),
            traffic_light_stop_line_fids=str(stop_of[groups[0]]) if k in signalised else "",
        )  # fmt: skip
        add(surfaces, element_polygon(element), fid=feature_id(d, "surface", k), lane_connector_fid=fid, **sides)
    return {name: _frame(rows[name], shapes[name]) for name in _LANE_LAYERS}


def _group_layers(district: District) -> dict[str, geopandas.GeoDataFrame]:
    d, groups = district.index, district.network.groups
    plain = [k for k, group in enumerate(groups) if not group.connector]
    turning = [k for k, group in enumerate(groups) if group.connector]
    rows = [
        {
            "fid": feature_id(d, "group", k),
            "from_lane_group_fid": feature_id(d, "group", groups[k].before[0]),
            "to_lane_group_fid": feature_id(d, "group", groups[k].after[0]),
        }
        for k in turning
    ]
    return {
        "lane_groups_polygons": _frame(
            [{"fid": feature_id(d, "group", k)} for k in plain], [groups[k].polygon for k in plain]
        ),
        "lane_group_connectors": _frame(rows, [groups[k].polygon for k in turning]),
    }


def _stops(district: District) -> geopandas.GeoDataFrame:
    """Stop lines of junctions, then the areas before crosswalks between junctions."""
    d, network = district.index, district.network
    rows, shapes = [], []
    for k, (_, polygon, signal) in enumerate(network.stop_lines):
        kind = _STOP_TYPE_LIGHT if signal else _STOP_TYPE_YIELD
        rows.append({"fid": feature_id(d, "stop", k), "stop_polygon_type_fid": kind})
        shapes.append(polygon)
    for crosswalk in network.crosswalks:
        if crosswalk.node < 0:
            rows.append({"fid": feature_id(d, "stop", len(rows)), "stop_polygon_type_fid": _STOP_TYPE_WALKERS})
            shapes.append(crosswalk.polygon.buffer(OVERLAP, join_style="mitre"))
    return _frame(rows, shapes)
