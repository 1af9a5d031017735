"""What PDM-Closed does on a toy street: drive, follow, stop; and at the edges of what a scene may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import shapely
from pdm_builders import ToyMap, closed_reference_progress, make_frame, make_scene

from wotempo.errors import UserError
from wotempo.navsim.schema import Boxes, Frame, Scene
from wotempo.pdm.closed.plan import ClosedPlan, plan_closed
from wotempo.pdm.context import SceneContext
from wotempo.pdm.score import score, score_trajectories
from wotempo.pdm.simulate import simulate, track
from wotempo.pdm.states import CENTRE, box_points

# 1-2-3-4-5 along +x, 200 m; 6 leads up to 7, off that route. No block of the route is a connector: those are drivable
# only inside intersections, which this map has none of.
STREET = {
    "1": ((0, 0), (40, 0)), "2": ((40, 0), (60, 0)), "3": ((60, 0), (100, 0)), "4": ((100, 0), (120, 0)),
    "5": ((120, 0), (200, 0)), "6": ((40, 0), (60, 20)), "7": ((60, 20), (60, 60)),
}  # fmt: skip
LINKS = [("1", "2"), ("2", "3"), ("3", "4"), ("4", "5"), ("1", "6"), ("6", "7")]
ROUTE = tuple("12345")


def _town(limit: float | None = None) -> ToyMap:
    town = ToyMap(STREET, ["6"], LINKS, width=8.0)
    for lane_id, lane in town._lanes.items():
        town._lanes[lane_id] = replace(lane, speed_limit=limit)
    return town


def _drives(
    *boxes: tuple[float, float, float, str],
    pose: Sequence[float] = (10, 0, 0),
    speed: float = 5.0,
    route: Sequence[str] = ROUTE,
    red: Sequence[str] = (),
) -> Scene:
    """Boxes of 4 m × 2 m in the ego frame, x, y, speed, class, which go on as they are while the ego stands still."""
    frames = []
    for step in range(11):
        rows = np.array([[x + 0.5 * step * v, y, 0, 4, 2, 1.5, 0] for x, y, v, _ in boxes]).reshape(-1, 7)
        frame = make_frame(
            index=step,
            pose=pose,
            boxes=rows,
            names=[box[3] for box in boxes],
            velocity=np.array([[v, 0, 0] for _, _, v, _ in boxes]).reshape(-1, 3),
            tracks=[f"{number:016x}" for number in range(len(boxes))],
            ego_velocity=(speed, 0),
            route=route,
        )
        frames.append(replace(frame, traffic_lights=(*((lane, True) for lane in red), ("4L", False))))
    return make_scene(frames)


def _plan(scene: Scene, town: ToyMap | None = None) -> tuple[ClosedPlan, SceneContext]:
    town = town or _town()
    context = SceneContext.build(scene, town)
    return plan_closed(scene, town, context), context


def _speed(closed: ClosedPlan) -> np.ndarray:
    """Speeds (50,) that the positions of the plan mean."""
    return np.hypot(*np.diff(closed.plan[:, :2], axis=0).T) / 0.1


def test_free_road_is_driven_on_the_centreline_as_fast_as_allowed() -> None:
    closed, context = _plan(_drives(speed=12.0))
    assert closed.chosen == 4
    assert closed.scores.shape == (15,)
    np.testing.assert_allclose(closed.plan[:, 1:], 0.0, atol=1e-9)
    assert closed.plan[0, 0] == pytest.approx(10)
    assert 12.0 < _speed(closed)[-1] < 15.0, "without a limit 15 m/s are wanted"
    assert closed_reference_progress(closed, context) == pytest.approx(closed.plan[40, 0] - 10, rel=0.05)


def test_a_missing_limit_is_fifteen() -> None:
    for scene in (_drives(speed=12.0), _drives(speed=14.9)):
        np.testing.assert_array_equal(_plan(scene, _town(None))[0].plan, _plan(scene, _town(15.0))[0].plan)
    fast, slow = _plan(_drives(speed=12.0), _town(15.0))[0], _plan(_drives(speed=12.0), _town(13.0))[0]
    assert fast.plan[-1, 0] > slow.plan[-1, 0] + 0.5


def test_a_limit_is_kept() -> None:
    assert _speed(_plan(_drives(speed=5.0), _town(6.0))[0]).max() < 6.0
    assert _speed(_plan(_drives(speed=5.0), _town(12.0))[0]).max() > 6.0


def test_the_first_step_brakes_whatever_is_ahead() -> None:
    speed = _speed(_plan(_drives(speed=5.0))[0])
    np.testing.assert_allclose(speed[:2], [5.0, 4.7], atol=1e-6)
    assert speed[2] > speed[1]


@pytest.mark.parametrize("kind", ["vehicle", "pedestrian", "traffic_cone"])
def test_a_standing_obstacle_stops_the_plan(kind: str) -> None:
    closed, context = _plan(_drives((25, 0, 0, kind), speed=6.0))
    end = shapely.Polygon(box_points(closed.plan[-1])[:CENTRE])
    gap = end.distance(shapely.box(33, -1, 37, 1))
    assert 0.5 < gap < 4.0
    assert _speed(closed)[-1] < 1.5
    assert closed_reference_progress(closed, context) > 5.0


def test_a_leader_is_followed_at_its_speed() -> None:
    closed, _ = _plan(_drives((15, 0, 4.0, "vehicle"), speed=5.0))
    assert closed.plan[-1, 0] + 4.05 < 10 + 15 + 20 - 2, "behind its rear bumper"
    assert _speed(closed)[-1] == pytest.approx(4.0, abs=0.8)


def test_an_obstacle_beside_the_centreline_is_passed_on_an_offset() -> None:
    """The box leaves 0.4 m of the centre's corridor, and none of the corridor one metre to the right."""
    closed, _ = _plan(_drives((25, 1.75, 0, "vehicle"), speed=8.0))
    assert closed.chosen // 5 == 1
    np.testing.assert_allclose(closed.plan[:, 1], -1.0, atol=1e-9)


def test_obstacles_off_the_corridor_and_behind_do_not_matter() -> None:
    free = _plan(_drives())[0].plan
    np.testing.assert_array_equal(_plan(_drives((25, 3.5, 0, "vehicle"), (-9, 0, 5, "vehicle")))[0].plan, free)


def test_a_red_light_on_the_route_stops_the_plan() -> None:
    closed, _ = _plan(_drives(speed=6.0, red=["2L"]))
    assert closed.plan[-1, 0] + 4.05 < 40, "front bumper before the connector"
    assert closed.plan[-1, 0] > 30
    free = _plan(_drives(speed=6.0))[0].plan
    assert free[-1, 0] > 45
    np.testing.assert_array_equal(_plan(_drives(speed=6.0, red=["6L"]))[0].plan, free)  # not on the route


def test_a_red_light_under_the_whole_ego_is_left_behind() -> None:
    inside = _drives(pose=(47, 0, 0), speed=5.0, red=["2L"])
    assert _plan(inside)[0].plan[-1, 0] > 65
    entering = _drives(pose=(39, 0, 0), speed=1.0, red=["2L"])
    assert _plan(entering)[0].plan[-1, 0] < 41


def test_a_standing_ego_starts() -> None:
    speed = _speed(_plan(_drives(speed=0.0))[0])
    assert speed[0] == 0
    assert speed[-1] > 4.0


def test_ego_off_every_lane() -> None:
    closed, context = _plan(_drives(pose=(20, -9, 0.3)))
    np.testing.assert_allclose(closed.plan[0, :3], [20, closed.plan[0, 1], 0], atol=1e-6)
    assert np.isfinite(closed.plan).all()
    assert (closed.scores == 0).all(), "off the road at the start"
    assert closed.chosen == 0, "the first of equals"
    assert closed_reference_progress(closed, context) == 0


def test_a_plan_ends_with_its_path() -> None:
    closed, _ = _plan(_drives(pose=(10, 0, 0), speed=10.0, route=["1"]))
    assert closed.plan[:, 0].max() <= 40
    assert closed.plan[-1, 0] > 30


def test_an_ego_past_the_end_of_its_path_stays_there() -> None:
    closed, context = _plan(_drives(pose=(203, 0, 0), speed=3.0))
    np.testing.assert_allclose(closed.plan[:, 0], 200)
    assert closed_reference_progress(closed, context) == 0


def test_the_future_of_the_log_is_not_seen() -> None:
    scene = _drives((25, 0, 0, "vehicle"), (14, 4, 2, "bicycle"))
    empty = [_without_boxes(frame) for frame in scene.log.frames[1:]]
    blind = replace(scene, log=replace(scene.log, frames=[scene.current, *empty]))
    np.testing.assert_array_equal(_plan(blind)[0].plan, _plan(scene)[0].plan)


def _without_boxes(frame: Frame) -> Frame:
    return replace(frame, boxes=Boxes(np.zeros((0, 7)), np.zeros(0, str), np.zeros((0, 3)), [], []))


def test_the_reference_is_driven_through_the_replay() -> None:
    """A track that the planner cannot know appears on the road ahead in a later frame: the plan hits it."""
    scene = _drives(speed=8.0)
    assert closed_reference_progress(*_plan(scene)) > 20
    box = np.array([[20.0, 0, 0, 4, 2, 1.5, 0]])
    boxes = Boxes(box, np.array(["vehicle"]), np.zeros((1, 3)), ["a"], ["t"])
    frames = list(scene.log.frames)
    frames[3] = replace(frames[3], boxes=boxes)  # seen in one frame: it stands there all the time
    hidden = replace(scene, log=replace(scene.log, frames=frames))
    assert closed_reference_progress(*_plan(hidden)) == 0


def test_the_reference_normalises_an_agent() -> None:
    closed, context = _plan(_drives(speed=8.0))
    reference = closed_reference_progress(closed, context)
    poses = np.zeros((1, 8, 3))
    poses[0, :, 0] = 2.0 * np.arange(1, 9)
    agent = score_trajectories(context, poses, reference_progress=reference)
    assert agent.ep[0] == pytest.approx(agent.progress_raw[0] / reference)
    both = score(context, np.concatenate((_states(closed, context), _agent(poses, context))))
    assert both.ep[1] == pytest.approx(agent.ep[0], abs=1e-6), "the official batch of two rows"


def _states(closed: ClosedPlan, context: SceneContext) -> np.ndarray:
    return track(context.ego, closed.plan[None, :41, :3])


def _agent(poses: np.ndarray, context: SceneContext) -> np.ndarray:
    return simulate(context.ego, poses, start_us=context.start_us)


def test_frames_without_boxes_are_refused() -> None:
    scene = _drives()
    context = SceneContext.build(scene, _town())
    private = make_scene([replace(scene.current, boxes=None), *scene.log.frames[1:]])
    with pytest.raises(UserError, match=scene.token):
        plan_closed(private, _town(), context)
