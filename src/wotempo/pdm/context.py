"""Everything that scoring one scene needs, as arrays: computed once, used for any number of proposals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import shapely

from wotempo.errors import UserError
from wotempo.maps import MapIndex
from wotempo.navsim.per_scene import SceneError
from wotempo.navsim.schema import Scene
from wotempo.pdm.areas import AreaKind, AreaMap
from wotempo.pdm.centreline import route_lanes, start_lane, trace_centreline
from wotempo.pdm.objects import NUM_OBJECT_FRAMES, Objects, replay_objects
from wotempo.pdm.route import repair_route
from wotempo.pdm.states import HEADING, centre_of, ego_state

MAP_RADIUS = 100.0  # metres around the ego's centre
TREE_NODE_CAPACITY = 10
Area = tuple[shapely.Polygon, AreaKind, str | None]  # with the lane's id, if it is one


@dataclass(frozen=True)
class SceneContext:
    """Inputs of the score, global frame, float64."""

    token: str
    start_us: int  # timestamp of the current frame
    ego: np.ndarray  # (11,) start state
    objects: Objects
    areas: AreaMap
    centreline: np.ndarray  # (M, 3) x, y, heading
    route_lanes: tuple[str, ...]  # ids of all lanes and connectors of the repaired route
    start_lane: str  # the one that the centreline begins with

    @classmethod
    def build(cls, scene: Scene, map_index: MapIndex) -> SceneContext:
        """Read the scene's log frames (current + 10) and the map around it.

        Raises SceneError when future frames, boxes or the route are missing, or numbers are not finite.
        """
        unusable = partial(SceneError, scene.token, scene.log.name)
        frames = [scene.current, *scene.future][:NUM_OBJECT_FRAMES]
        if len(frames) < NUM_OBJECT_FRAMES:
            raise unusable(
                f"scoring needs {NUM_OBJECT_FRAMES} frames, half a second apart; use a scene filter with "
                f"num_future_frames: {NUM_OBJECT_FRAMES - 1}"
            )
        if any(frame.boxes is None for frame in frames):
            raise unusable(f"scoring needs {NUM_OBJECT_FRAMES} frames with boxes, and the log holds some without")
        ego, objects = ego_state(scene.current), replay_objects(frames)
        if not np.isfinite(ego).all():
            raise unusable("the ego's pose, velocity or acceleration is not finite")
        if not np.isfinite(objects.corners[objects.present]).all():
            raise unusable("a box is not finite: its place, size or heading")
        pose = ego[: HEADING + 1]
        try:
            route = repair_route(map_index, pose, scene.current.roadblock_ids)
        except UserError as error:
            raise unusable(str(error)) from error
        lanes = route_lanes(map_index, route)
        areas, lane_ids = surrounding_areas(map_index, centre_of(pose), set(lanes))
        # NAVSIM breaks ties between equally aligned lanes by the order in which this tree returns them.
        meets_axle = shapely.STRtree(areas.polygons, TREE_NODE_CAPACITY).query(shapely.Point(pose[:2]), "intersects")
        containing = [lane_ids[i] for i in meets_axle if lane_ids[i] is not None]
        start = start_lane(map_index, lanes, pose, containing)
        return cls(
            token=scene.token,
            start_us=scene.current.timestamp_us,
            ego=ego,
            objects=objects,
            areas=areas,
            centreline=trace_centreline(map_index, route, start),
            route_lanes=tuple(lanes),
            start_lane=start.id,
        )


def surrounding_areas(map_index: MapIndex, centre: np.ndarray, on_route: set[str]) -> tuple[AreaMap, list[str | None]]:
    """Polygons in a square of MAP_RADIUS around ``centre`` (2,), and for each its lane id or None.

    Lanes come with their roadblock: all lanes of a roadblock that reaches into the square are in.
    """
    x, y = centre

    def shapes(layer: str, kind: AreaKind) -> list[Area]:
        found = map_index.layer(layer).geometry[map_index.near(layer, x, y, MAP_RADIUS)]
        return [(polygon, kind, None) for polygon in found]

    def lanes(layer: str, kind: AreaKind) -> list[Area]:
        blocks = map_index.layer(layer).ids[map_index.near(layer, x, y, MAP_RADIUS)]
        ids = [lane_id for block_id in blocks for lane_id in map_index.roadblock(block_id).lane_ids]
        return [(map_index.lane(lane_id).polygon, kind, lane_id) for lane_id in ids]

    areas = [
        *shapes("lane_groups_polygons", AreaKind.ROADBLOCK),
        *lanes("lane_groups_polygons", AreaKind.LANE),
        *lanes("lane_group_connectors", AreaKind.LANE_CONNECTOR),
        *shapes("intersections", AreaKind.INTERSECTION),
        *shapes("carpark_areas", AreaKind.CARPARK),
    ]
    lane_ids = [lane_id for _, _, lane_id in areas]
    polygons = np.array([polygon for polygon, _, _ in areas], dtype=object)
    kinds = np.array([kind for _, kind, _ in areas], np.uint8)
    return AreaMap(polygons, kinds, np.array([lane_id in on_route for lane_id in lane_ids], bool)), lane_ids
