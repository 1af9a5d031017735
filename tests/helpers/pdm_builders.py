"""Hand-made frames, scenes, maps and contexts for the tests of scoring."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from wotempo.maps import Lane, MapLayer, Roadblock
from wotempo.maps.index import with_headings
from wotempo.navsim.schema import Boxes, Frame, Log, Scene
from wotempo.pdm.areas import AreaKind, AreaMap
from wotempo.pdm.closed.plan import ClosedPlan, closed_states
from wotempo.pdm.context import SceneContext
from wotempo.pdm.objects import NUM_OBJECT_STEPS, Objects, box_corners
from wotempo.pdm.score import score
from wotempo.pdm.states import ACCEL, SPEED, STATE_SIZE


def make_frame(
    index: int = 0,
    pose: Sequence[float] = (0, 0, 0),
    boxes: np.ndarray | None = None,
    names: Sequence[str] = (),
    velocity: np.ndarray | None = None,
    tracks: Sequence[str] = (),
    ego_velocity: Sequence[float] = (5, 0),
    ego_acceleration: Sequence[float] = (0, 0),
    route: Sequence[str] = ("1",),
    timestamp_us: int | None = None,
) -> Frame:
    """A frame without sensors; boxes (N, 7) in its ego frame."""
    boxes = np.zeros((0, 7)) if boxes is None else np.asarray(boxes, np.float64)
    return Frame(
        token=f"{index:016x}",
        frame_idx=index,
        timestamp_us=1_600_000_000_000_000 + 500_000 * index if timestamp_us is None else timestamp_us,
        log_name="log",
        log_token="0" * 16,
        scene_name="scene",
        scene_token="0" * 16,
        map_location="us-nv-las-vegas-strip",
        vehicle_name="veh-01",
        pose=np.asarray(pose, np.float64),
        height=0.0,
        velocity=np.asarray(ego_velocity, np.float64),
        acceleration=np.asarray(ego_acceleration, np.float64),
        yaw_rate=0.0,
        command=np.array([0, 1, 0, 0]),
        roadblock_ids=tuple(route),
        traffic_lights=(),
        cameras={},
        lidar_path="",
        boxes=Boxes(
            boxes=boxes,
            names=np.asarray(names, str),
            velocity=np.zeros((len(boxes), 3)) if velocity is None else np.asarray(velocity, np.float64),
            instance_tokens=[f"{k:016x}" for k in range(len(boxes))],
            track_tokens=list(tracks),
        ),
    )


def make_scene(frames: Sequence[Frame], index: int = 0) -> Scene:
    return Scene(Log("log", "golden", list(frames)), index, num_history=1)


def golden_scene(golden: dict[str, np.ndarray], case: int) -> Scene:
    """A scene of tests/golden/pdm/official_v11.npz."""
    value = {key.split("_", 1)[1]: golden[key] for key in golden if key.startswith(f"{case}_")}
    ends = np.cumsum(value["count"])
    frames = []
    for step, (begin, end) in enumerate(zip(ends - value["count"], ends, strict=True)):
        frame = make_frame(
            index=100 * case + step,
            pose=value["pose"][step],
            boxes=value["boxes"][begin:end],
            names=value["names"][begin:end],
            velocity=value["box_velocity"][begin:end],
            tracks=[str(track) for track in value["track"][begin:end]],
            ego_velocity=value["velocity"],
            ego_acceleration=value["acceleration"],
            route=value["route"].tolist(),
            timestamp_us=int(value["timestamp_us"][step]),
        )
        frames.append(frame)
    return make_scene(frames)


def closed_reference_progress(closed: ClosedPlan, context: SceneContext) -> float:
    """Metres of progress that count, of the plan driven through the replayed scene: the reference of `score`."""
    return float(score(context, closed_states(closed, context)).masked_progress[0])


def start_state(speed: float = 5.0, accel: float = 0.0) -> np.ndarray:
    state = np.zeros(STATE_SIZE)
    state[SPEED], state[ACCEL] = speed, accel
    return state


def straight(speed: float) -> np.ndarray:
    """(1, 8, 3) poses straight ahead."""
    poses = np.zeros((1, 8, 3))
    poses[0, :, 0] = 0.5 * speed * np.arange(1, 9)
    return poses


def make_object(
    x: float | np.ndarray,
    y: float | np.ndarray,
    heading: float = 0.0,
    length: float = 4.0,
    width: float = 2.0,
    agent: bool = True,
    stopped: bool = False,
    present: Sequence[int] | range = range(NUM_OBJECT_STEPS),
) -> Objects:
    """One object; x, y of the centre are numbers or (51,)."""
    pose = np.zeros((NUM_OBJECT_STEPS, 1, 3))
    pose[:, 0, 0], pose[:, 0, 1], pose[:, 0, 2] = x, y, heading
    there = np.zeros((NUM_OBJECT_STEPS, 1), bool)
    there[list(present)] = True
    return Objects(box_corners(pose, length, width), there, np.array([agent]), np.array([stopped]))


def join_objects(*objects: Objects) -> Objects:
    return Objects(
        np.concatenate([np.zeros((NUM_OBJECT_STEPS, 0, 4, 2)), *(o.corners for o in objects)], 1),
        np.concatenate([np.zeros((NUM_OBJECT_STEPS, 0), bool), *(o.present for o in objects)], 1),
        np.concatenate([np.zeros(0, bool), *(o.is_agent for o in objects)]),
        np.concatenate([np.zeros(0, bool), *(o.is_stopped for o in objects)]),
    )


def make_areas(*areas: tuple[AreaKind, shapely.Polygon, bool]) -> AreaMap:
    kinds, polygons, on_route = zip(*areas, strict=True)
    return AreaMap(np.array(polygons, object), np.array(kinds, np.uint8), np.array(on_route))


WIDE_ROAD = (
    (AreaKind.ROADBLOCK, shapely.box(-100, -100, 200, 100), False),
    (AreaKind.LANE, shapely.box(-100, -100, 200, 100), True),
)


def make_context(*objects: Objects, areas: AreaMap | None = None, speed: float = 5.0) -> SceneContext:
    """Ego at the origin, heading along x, on a road without edges in reach unless ``areas`` says otherwise."""
    return SceneContext(
        token="0" * 16,
        start_us=0,
        ego=start_state(speed),
        objects=join_objects(*objects),
        areas=make_areas(*WIDE_ROAD) if areas is None else areas,
        centreline=np.array([[-100.0, 0, 0], [200, 0, 0]]),
        route_lanes=("roadL",),
        start_lane="roadL",
    )


class ToyMap:
    """A map of straight lanes on the lines between numbered points; answers what the map room's ``MapIndex`` does.

    Every roadblock is one lane from point a to point b, its id and its lane's id are ``name`` and ``name + 'L'``.
    """

    def __init__(
        self,
        blocks: dict[str, tuple[tuple[float, float], tuple[float, float]]],
        connectors: Sequence[str],
        links: Sequence[tuple[str, str]],
        width: float = 3.0,
    ) -> None:
        self._blocks = {}
        self._lanes = {}
        for name, (a, b) in blocks.items():
            line = shapely.LineString([a, b])
            polygon = line.buffer(width / 2, cap_style="flat")
            outgoing = tuple(after for before, after in links if before == name)
            incoming = tuple(before for before, after in links if after == name)
            points = shapely.get_coordinates(line.segmentize(1.0))
            self._lanes[name + "L"] = Lane(
                name + "L", polygon, with_headings(points), line.length, name, None, name in connectors,
                tuple(n + "L" for n in outgoing), tuple(n + "L" for n in incoming),
            )  # fmt: skip
            self._blocks[name] = Roadblock(name, polygon, (name + "L",), outgoing, incoming, name in connectors)
        self._layers = {
            layer: [block for block in self._blocks.values() if block.is_connector == is_connector]
            for layer, is_connector in (("lane_groups_polygons", False), ("lane_group_connectors", True))
        }

    def layer(self, name: str) -> MapLayer:
        blocks = self._layers.get(name, [])
        return MapLayer(np.array([b.id for b in blocks], str), np.array([b.polygon for b in blocks], object), {})

    def near(self, layer: str, x: float, y: float, radius: float) -> np.ndarray:
        square = shapely.box(x - radius, y - radius, x + radius, y + radius)
        return np.flatnonzero([shapely.intersects(block.polygon, square) for block in self._layers.get(layer, [])])

    def lane(self, lane_id: str) -> Lane:
        return self._lanes[lane_id]

    def roadblock(self, roadblock_id: str) -> Roadblock:
        return self._blocks[roadblock_id]
