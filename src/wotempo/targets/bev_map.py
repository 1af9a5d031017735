"""BEV semantic maps of the present and of the recorded future, as the public WoTE defines their classes.

Source of the class table and the painting order: NAVSIM's TransFuser and WoTE target builders (reference: wote §3).
"""

from __future__ import annotations

import numpy as np
import shapely

from wotempo.geometry import compose, relative_to
from wotempo.maps import MapIndex
from wotempo.navsim.schema import STATIC_NAMES, Scene
from wotempo.targets.agents import boxes_of
from wotempo.targets.raster import BevCanvas
from wotempo.targets.spec import BevClass, TargetSpec
from wotempo.targets.trajectory import future_frames

# (class, names of the annotations, compat's class where it differs)
_BOX_CLASSES = (
    (BevClass.STATIC, STATIC_NAMES, BevClass.STATIC),
    (BevClass.VEHICLE, ("vehicle",), BevClass.VEHICLE),
    (BevClass.PEDESTRIAN, ("pedestrian",), BevClass.EGO),
)
_POLYGON_LAYERS = ((BevClass.ROAD, ("lanes_polygons", "intersections")), (BevClass.WALKWAY, ("walkways",)))
_CENTRELINE_LAYERS = ("lanes_polygons", "lane_connectors")


def _local(xy: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Global points (n, 2) -> the frame of the global pose ``origin`` (3,), float64."""
    padded = np.concatenate((xy, np.zeros((len(xy), 1))), axis=1)
    return relative_to(origin, padded)[:, :2]


def _paint_map(canvas: BevCanvas, city: MapIndex, pose: np.ndarray, radius: float) -> None:
    x, y = float(pose[0]), float(pose[1])
    for value, layers in _POLYGON_LAYERS:
        for name in layers:
            geometry = city.layer(name).geometry
            for i in city.near(name, x, y, radius):
                ring = shapely.get_coordinates(shapely.get_exterior_ring(geometry[i]))
                canvas.polygon(_local(ring, pose), value)
    for name in _CENTRELINE_LAYERS:
        ids = city.layer(name).ids
        for i in city.near(name, x, y, radius):
            canvas.line(_local(city.lane(ids[i]).baseline[:, :2], pose), BevClass.CENTRELINE)


def _paint_boxes(canvas: BevCanvas, names: np.ndarray, boxes: np.ndarray, spec: TargetSpec) -> None:
    for value, members, compat_value in _BOX_CLASSES:
        paint = compat_value if spec.mode == "compat" else value
        for box in boxes[np.isin(names, members)]:
            canvas.box(box[[0, 1, 6]], box[3], box[4], paint)


def _base_map(scene: Scene, city: MapIndex, names: np.ndarray, boxes: np.ndarray, spec: TargetSpec) -> np.ndarray:
    canvas = BevCanvas(spec.grid, spec.mode)
    _paint_map(canvas, city, scene.current.pose, spec.query_radius)
    _paint_boxes(canvas, names, boxes, spec)
    return canvas.finish()


def paint_ego(base: np.ndarray, poses: np.ndarray, spec: TargetSpec) -> np.ndarray:
    """The ego at each of the hypothetical rear-axle poses (S, 3), painted over a copy of ``base`` (rows, cols) uint8.

    Returns (S, rows, cols) uint8.
    """
    ego = spec.ego_box
    maps = np.empty((len(poses), *spec.grid.shape), np.uint8)
    for i, pose in enumerate(np.asarray(poses, np.float64)):
        canvas = BevCanvas(spec.grid, spec.mode, start=base)
        canvas.box(compose(pose, np.array([ego.offset, 0.0, 0.0])), ego.length, ego.width, BevClass.EGO)
        maps[i] = canvas.finish()
    return maps


def bev_map_target(scene: Scene, city: MapIndex, spec: TargetSpec) -> np.ndarray:
    """Map, road users and ego of the current frame: (rows, cols) uint8 of ``BevClass`` on ``spec.grid``."""
    boxes = boxes_of(scene.current)
    base = _base_map(scene, city, boxes.names, boxes.boxes, spec)
    return paint_ego(base, np.zeros((1, 3)), spec)[0]


def future_base_map(scene: Scene, city: MapIndex, spec: TargetSpec) -> np.ndarray:
    """The recorded road users of frame ``spec.future_index`` on the map, all in the current ego frame, without ego.

    (rows, cols) uint8. It does not depend on the anchors, so it can be cached.
    """
    frame = future_frames(scene, spec.future_index, "the future map")[-1]
    annotated = boxes_of(frame)
    moved = annotated.boxes.copy()
    there = relative_to(scene.current.pose, frame.pose)
    moved[:, [0, 1, 6]] = compose(there, annotated.boxes[:, [0, 1, 6]])
    return _base_map(scene, city, annotated.names, moved, spec)
