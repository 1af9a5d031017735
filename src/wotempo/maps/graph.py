"""The graph of lanes: tables of ids that follow each other, from the columns of the layers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import shapely

from wotempo.maps.gpkg import MapLayer

Row = tuple[str, int]  # layer, row


@dataclass(frozen=True)
class LaneTable:
    rows: dict[str, Row]
    roadblocks: dict[str, str]  # the one each lane belongs to
    polygons: dict[str, shapely.Polygon]
    baselines: dict[str, shapely.LineString]
    outgoing: dict[str, list[str]]
    incoming: dict[str, list[str]]


@dataclass(frozen=True)
class RoadblockTable:
    rows: dict[str, Row]
    lanes: dict[str, list[str]]
    outgoing: dict[str, list[str]]
    incoming: dict[str, list[str]]


def build_lane_table(layer: Callable[[str], MapLayer]) -> LaneTable:
    """Lanes and lane connectors, from four layers of a map."""
    lanes, connectors = layer("lanes_polygons"), layer("lane_connectors")
    shapes, paths = layer("gen_lane_connectors_scaled_width_polygons"), layer("baseline_paths")
    polygons = dict(zip(lanes.ids.tolist(), lanes.geometry, strict=True))
    polygons |= dict(zip(shapes.id_column("lane_connector_fid").tolist(), shapes.geometry, strict=True))
    baselines: dict[str, shapely.LineString] = {}
    for column in ("lane_fid", "lane_connector_fid"):
        owners = paths.id_column(column).tolist()
        baselines |= {owner: line for owner, line in zip(owners, paths.geometry, strict=True) if owner}
    rows = _rows(lanes_polygons=lanes, lane_connectors=connectors)
    outgoing, incoming = _edges(connectors, "exit_lane_fid", "entry_lane_fid", rows)
    roadblocks = dict(zip(lanes.ids.tolist(), lanes.id_column("lane_group_fid").tolist(), strict=True))
    groups = connectors.id_column("lane_group_connector_fid").tolist()
    roadblocks |= dict(zip(connectors.ids.tolist(), groups, strict=True))
    return LaneTable(rows, roadblocks, polygons, baselines, outgoing, incoming)


def build_roadblock_table(layer: Callable[[str], MapLayer]) -> RoadblockTable:
    """Lane groups and their connectors, from four layers of a map."""
    groups, connectors = layer("lane_groups_polygons"), layer("lane_group_connectors")
    rows = _rows(lane_groups_polygons=groups, lane_group_connectors=connectors)
    outgoing, incoming = _edges(connectors, "from_lane_group_fid", "to_lane_group_fid", rows)
    lanes: dict[str, list[str]] = defaultdict(list)
    for name, column in (("lanes_polygons", "lane_group_fid"), ("lane_connectors", "lane_group_connector_fid")):
        for lane_id, group in zip(layer(name).ids.tolist(), layer(name).id_column(column).tolist(), strict=True):
            lanes[group].append(lane_id)
    return RoadblockTable(rows, lanes, outgoing, incoming)


def _rows(**layers: MapLayer) -> dict[str, Row]:
    return {id_: (name, row) for name, layer in layers.items() for row, id_ in enumerate(layer.ids.tolist())}


def _edges(
    connectors: MapLayer, source: str, target: str, known: dict[str, Row]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Edges source -> connector -> target. A map is cut out of the world: an end that it does not hold has no edge."""
    outgoing: dict[str, list[str]] = defaultdict(list)
    incoming: dict[str, list[str]] = defaultdict(list)
    sources, targets = connectors.id_column(source).tolist(), connectors.id_column(target).tolist()
    for before, connector, after in zip(sources, connectors.ids.tolist(), targets, strict=True):
        if before in known:
            outgoing[before].append(connector)
            incoming[connector].append(before)
        if after in known:
            outgoing[connector].append(after)
            incoming[after].append(connector)
    return outgoing, incoming
