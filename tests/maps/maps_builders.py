"""A small map: two roadblocks, the connector between them, one that leads out of the map, and a walkway."""

from __future__ import annotations

import geopandas
import numpy as np
import shapely


def frame(fids: list[int], geometry: list, **columns) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame({"fid": fids, **columns}, geometry=geometry)


def straight(x0: float, x1: float, y: float) -> shapely.LineString:
    xs = np.linspace(x0, x1, round(abs(x1 - x0)) + 1)
    return shapely.LineString(np.column_stack([xs, np.full_like(xs, y)]))


def small_layers(x: float, y: float) -> dict[str, geopandas.GeoDataFrame]:
    """Lane 10 in roadblock 1 -> connector 20 in 3 -> lane 11 in roadblock 2; connector 21 leads out of the map."""
    first, turn, second = (straight(x + a, x + b, y) for a, b in ((0, 30), (30, 45), (45, 80)))
    out = straight(x + 30, x + 45, y + 3)
    boxes = [line.buffer(1.75, cap_style="flat") for line in (first, turn, second, out)]
    return {
        "lanes_polygons": frame([10, 11], [boxes[0], boxes[2]], lane_group_fid=[1, 2], speed_limit_mps=[11.5, None]),
        "lane_connectors": frame(
            [20, 21],
            [turn, out],
            exit_lane_fid=[10, 10],
            entry_lane_fid=[11, 99],
            lane_group_connector_fid=[3, 4],
            speed_limit_mps=[5.0, 6.0],
        ),
        "baseline_paths": frame(
            [30, 31, 32, 33],
            [turn, first, second, out],
            lane_fid=[None, 10, 11, None],
            lane_connector_fid=[20, None, None, 21],
        ),
        "lane_groups_polygons": frame([1, 2], [boxes[0], boxes[2]]),
        "lane_group_connectors": frame(
            [3, 4], [boxes[1], boxes[3]], from_lane_group_fid=[1, 1], to_lane_group_fid=[2, 98]
        ),
        "gen_lane_connectors_scaled_width_polygons": frame([50, 51], [boxes[1], boxes[3]], lane_connector_fid=[20, 21]),
        "intersections": frame([60], [boxes[1].buffer(5)]),
        "walkways": frame([70], [boxes[0].buffer(3)]),
    }
