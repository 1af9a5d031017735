"""Small stand-ins: a map from plain arrays, frames from poses and boxes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import shapely

from wotempo.navsim.schema import Boxes, Frame

_SHAPES = {
    "lanes_polygons": shapely.Polygon,
    "intersections": shapely.Polygon,
    "walkways": shapely.Polygon,
    "lane_connectors": shapely.LineString,
}


def split(values: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
    return np.split(values, np.cumsum(counts)[:-1])


class SmallMap:
    """The interface of ``MapIndex`` that targets use. layers: name -> {id: (n, 2) coordinates}."""

    def __init__(self, layers: dict[str, dict[str, np.ndarray]], baselines: dict[str, np.ndarray]) -> None:
        self.layers = {
            name: SimpleNamespace(
                ids=np.array(list(layers.get(name, {})), str),
                geometry=np.array([shape(xy) for xy in layers.get(name, {}).values()], object),
            )
            for name, shape in _SHAPES.items()
        }
        self.baselines = baselines

    @classmethod
    def from_arrays(cls, stored: dict[str, np.ndarray]) -> SmallMap:
        layers = {
            name: dict(zip(stored[f"{name}_ids"], split(stored[f"{name}_xy"], stored[f"{name}_count"]), strict=True))
            for name in _SHAPES
        }
        baselines = {}
        for name in ("lanes_polygons", "lane_connectors"):
            lines = split(stored[f"{name}_base"], stored[f"{name}_base_count"])
            baselines |= dict(zip(stored[f"{name}_ids"], lines, strict=True))
        return cls(layers, baselines)

    def layer(self, name: str) -> SimpleNamespace:
        return self.layers[name]

    def near(self, name: str, x: float, y: float, radius: float) -> np.ndarray:
        square = shapely.box(x - radius, y - radius, x + radius, y + radius)
        return np.flatnonzero(shapely.intersects(self.layers[name].geometry, square))

    def lane(self, lane_id: str) -> SimpleNamespace:
        return SimpleNamespace(baseline=self.baselines[lane_id])


def make_frame(i: int, pose: np.ndarray, boxes: np.ndarray | None, names: list[str] | np.ndarray = ()) -> Frame:
    """Frame ``i`` of a 2 Hz log at the global ``pose``; ``boxes`` (N, 7) in its ego frame, None for no annotations."""
    annotations = None
    if boxes is not None:
        empty = [""] * len(boxes)
        annotations = Boxes(np.asarray(boxes, float), np.array(names, str), np.zeros((len(boxes), 3)), empty, empty)
    return Frame(
        token=f"{i:016x}",
        frame_idx=i,
        timestamp_us=i * 500_000,
        log_name="stored",
        log_token="",
        scene_name="",
        scene_token="",
        map_location="us-nv-las-vegas-strip",
        vehicle_name="",
        pose=np.asarray(pose, float),
        height=0.0,
        velocity=np.array([5.0, 0.1], np.float32),
        acceleration=np.array([0.5, -0.2], np.float32),
        yaw_rate=0.0,
        command=np.array([0, 1, 0, 0]),
        roadblock_ids=(),
        traffic_lights=(),
        cameras={},
        lidar_path="",
        boxes=annotations,
    )
