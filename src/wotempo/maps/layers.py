"""The layers of a nuPlan map and the columns that the official tools expect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LayerSpec:
    """``required`` columns the writer must be given; ``optional`` ones it fills where they are absent."""

    geometry: str
    required: tuple[str, ...] = ()
    optional: dict[str, Any] = field(default_factory=dict)


_SIDES = {"left_boundary_fid": 0, "right_boundary_fid": 0}

# The official API opens these ten even where it needs nothing from them.
ESSENTIAL = {
    "lanes_polygons": LayerSpec("Polygon", ("lane_group_fid", "speed_limit_mps"), {"lane_index": 0, **_SIDES}),
    "lane_connectors": LayerSpec(
        "LineString",
        ("exit_lane_fid", "entry_lane_fid", "lane_group_connector_fid", "speed_limit_mps"),
        {
            "exit_lane_group_fid": 0,
            "entry_lane_group_fid": 0,
            "intersection_fid": 0,
            "turn_type_fid": 0,
            "traffic_light_stop_line_fids": "",
        },
    ),
    "baseline_paths": LayerSpec("LineString", ("lane_fid", "lane_connector_fid"), {"path_type_fid": 0}),
    "boundaries": LayerSpec("LineString", (), {"boundary_type_fid": 0}),
    "lane_groups_polygons": LayerSpec("Polygon", (), dict(_SIDES)),
    "lane_group_connectors": LayerSpec(
        "Polygon", ("from_lane_group_fid", "to_lane_group_fid"), {"intersection_fid": 0, **_SIDES}
    ),
    "stop_polygons": LayerSpec("Polygon", (), {"stop_polygon_type_fid": 5}),
    "intersections": LayerSpec("Polygon", (), {"intersection_type_fid": 0}),
    "gen_lane_connectors_scaled_width_polygons": LayerSpec("Polygon", ("lane_connector_fid",), dict(_SIDES)),
    "carpark_areas": LayerSpec("Polygon", (), {"heading": 0.0}),
}
EXTRA = {
    "walkways": LayerSpec("Polygon"),
    "crosswalks": LayerSpec("Polygon", (), {"is_marked": True}),
    "road_segments": LayerSpec("Polygon"),
    "generic_drivable_areas": LayerSpec("Polygon"),
}
LAYERS = ESSENTIAL | EXTRA
# Their ids share one dictionary in the official code.
POOLED_IDS = (
    "lanes_polygons",
    "lane_connectors",
    "lane_groups_polygons",
    "lane_group_connectors",
    "intersections",
    "carpark_areas",
)
