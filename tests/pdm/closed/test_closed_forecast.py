"""Constant-velocity forecast and the search for leaders, against plain loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import shapely
from pdm_builders import make_frame, start_state

from wotempo.errors import UserError
from wotempo.maps.index import with_headings
from wotempo.navsim.schema import Frame
from wotempo.pdm.closed.forecast import Forecast
from wotempo.pdm.closed.idm import idm_acceleration
from wotempo.pdm.closed.paths import FollowedPath
from wotempo.pdm.closed.rollout import roll_out
from wotempo.pdm.states import CENTRE, HALF_LENGTH, box_points


def _frame(*boxes: tuple[float, float, float, float, str], pose: Sequence[float] = (0, 0, 0)) -> Frame:
    """Boxes of 4 m × 2 m: x, y, yaw, speed along the yaw, class."""
    rows = np.array([[x, y, 0, 4, 2, 1.5, yaw] for x, y, yaw, _, _ in boxes]).reshape(-1, 7)
    velocity = np.array([[v * np.cos(yaw), v * np.sin(yaw), 0] for _, _, yaw, v, _ in boxes]).reshape(-1, 3)
    tracks = [f"{number:016x}" for number in range(len(boxes))]
    return make_frame(pose=pose, boxes=rows, names=[box[4] for box in boxes], velocity=velocity, tracks=tracks)


def _forecast(*boxes: tuple[float, float, float, float, str], red: Sequence[shapely.Polygon] = ()) -> Forecast:
    return Forecast.build(_frame(*boxes), start_state(), red)


def test_agents_move_on_and_static_things_stay() -> None:
    forecast = _forecast((20, 5, 0.3, 6.0, "vehicle"), (20, -5, 0.3, 6.0, "barrier"))
    still, moving = forecast.corners.mean(2)[:, 0], forecast.corners.mean(2)[:, 1]
    np.testing.assert_allclose(still, np.tile([20, -5], (26, 1)), atol=1e-12)
    steps = 1.2 * np.arange(26)[:, None] * [np.cos(0.3), np.sin(0.3)]
    np.testing.assert_allclose(moving - [20, 5], steps, atol=1e-12)
    for number, polygon in enumerate(forecast.polygons[:, 1]):
        assert polygon.equals(shapely.Polygon(forecast.corners[number, 1]))


def test_boxes_are_turned_and_moved_with_the_ego() -> None:
    frame = _frame((10, 0, 0.0, 5.0, "vehicle"), pose=(100, 200, np.pi / 2))
    ego = start_state()
    ego[:3] = frame.pose
    forecast = Forecast.build(frame, ego, ())
    np.testing.assert_allclose(forecast.corners.mean(2)[[0, 5], 0], [[100, 210], [100, 215]], atol=1e-9)


@pytest.mark.parametrize(("velocity", "moved"), [((-3, 0), (-3, 0)), ((0.3, 0.4), (0.5, 0)), ((-0.3, 0.4), (-0.5, 0))])
def test_boxes_slide_along_their_axis(velocity: tuple[float, float], moved: tuple[float, float]) -> None:
    frame = _frame((20, 5, 0.0, 0.0, "bicycle"))
    assert frame.boxes is not None
    frame.boxes.velocity[0, :2] = velocity
    centre = Forecast.build(frame, start_state(), ()).corners.mean(2)[:, 0]
    np.testing.assert_allclose(centre[5] - centre[0], moved, atol=1e-12)


def test_far_boxes_and_crowds_are_left_out() -> None:
    people = [(5.0 + number, 8.0, 0.0, 0.0, "pedestrian") for number in range(40)]
    forecast = _forecast(*people, (95, 0, 0, 0, "vehicle"), (102, 0, 0, 0, "vehicle"))
    x = forecast.corners[0].mean(1)[:, 0]
    assert np.sort(x).tolist() == [*range(5, 30), 95]


def test_what_the_ego_stands_in_is_ignored() -> None:
    under, ahead = shapely.box(-10, -10, 10, 10), shapely.box(3, -3, 20, 3)
    forecast = _forecast(
        (4, 0, 0, 1, "vehicle"), (9, 0, 0, 0.01, "vehicle"), (30, 0, 0, 3, "vehicle"), red=[under, ahead]
    )
    assert sorted(zip(forecast.corners[0].mean(1)[:, 0], forecast.ignored[:3], strict=True)) == [
        (4, True), (9, False), (30, False)
    ]  # fmt: skip
    assert forecast.ignored[3:].tolist() == [True, False], "a light counts unless the whole ego stands on its connector"
    objects = forecast.objects()
    assert objects.corners.shape == (51, 2, 4, 2)
    assert objects.is_stopped.tolist() == [True, False]
    np.testing.assert_array_equal(objects.corners[7], objects.corners[6])
    moved = (objects.corners[8] - objects.corners[7]).mean(1)
    np.testing.assert_allclose(moved, [[0.002, 0], [0.6, 0]], atol=1e-12)


def test_empty_frames() -> None:
    forecast = _forecast()
    assert forecast.objects().corners.shape == (51, 0, 4, 2)
    assert forecast.polygons.shape == (26, 0)


def test_frames_without_boxes_are_named() -> None:
    frame = make_frame()
    object.__setattr__(frame, "boxes", None)
    with pytest.raises(UserError, match=frame.token):
        Forecast.build(frame, start_state(), ())


def _plain_roll_out(paths: list[FollowedPath], targets: np.ndarray, forecast: Forecast, ego: np.ndarray) -> np.ndarray:
    """As NAVSIM does it: driver by driver, with one leader record per path and step that is not cleared in between."""
    out = np.empty((len(paths), len(targets), 51, 3))
    for number, path in enumerate(paths):
        start = path.line.project(shapely.Point(ego[:2]))
        corridor = path.corridor(start, start + targets.max() * 5)
        # Boxes that overlap the driver are all at distance 0: the order of this tree decides between them.
        in_corridor = [shapely.STRtree(polygons, 10).query(corridor, "intersects") for polygons in forecast.polygons]
        progress, speed = np.full(len(targets), start), np.full(len(targets), ego[3])
        leaders = [(0.0, 0.0, 0.0)] * len(targets)
        out[number, :, 0] = path.at(progress)
        for step in range(1, 51):
            record = [0.0, 0.0, 0.0]
            for driver in range(len(targets)):
                if step % 2 == 0:
                    record = [0.0, 0.0, 0.0] if step > 40 else record
                    here = path.at(progress[driver : driver + 1])
                    box = shapely.Polygon(box_points(here)[0, :CENTRE])
                    polygons = forecast.polygons[step // 2]
                    ahead = [
                        (box.distance(polygons[row]), row)
                        for row in in_corridor[step // 2]
                        if not forecast.ignored[row] and path.line.project(polygons[row].centroid) > progress[driver]
                    ]
                    if ahead:
                        gap, row = min(ahead, key=lambda pair: pair[0])
                        record[0] = progress[driver] + gap
                        if row < len(forecast.is_agent):
                            record[1] = forecast.speed[row] * np.cos(forecast.heading[row] - here[0, 2])
                    else:
                        record[0], record[2] = path.line.length, HALF_LENGTH
                    leaders[driver] = tuple(record)
                place, leader_speed, rear = leaders[driver]
                state = (speed[driver], targets[driver], place - progress[driver] - rear, leader_speed)
                accel = float(idm_acceleration(*(np.array([value]) for value in state))[0])
                progress[driver], speed[driver] = progress[driver] + 0.1 * speed[driver], speed[driver] + 0.1 * accel
            out[number, :, step] = path.at(progress)
    return out.reshape(-1, 51, 3)


LINE = with_headings(np.array([[80 * np.sin(a), 80 * (1 - np.cos(a))] for a in np.linspace(0, 1.2, 80)]))
PATHS = [FollowedPath.beside(LINE, offset) for offset in (0.0, -1.0, 1.0)]


@pytest.mark.parametrize("seed", range(12))
def test_roll_out_equals_plain_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = ["vehicle", "vehicle", "bicycle", "pedestrian", "traffic_cone"]
    boxes = [
        (rng.uniform(-10, 60), rng.uniform(-6, 15), rng.uniform(-3, 3), rng.uniform(0, 7), str(rng.choice(kinds)))
        for _ in range(6)
    ]
    red = [shapely.box(40, 0, 60, 30)] if seed % 2 else []
    ego = start_state(rng.uniform(0, 12))
    forecast = Forecast.build(_frame(*boxes), ego, red)
    targets = np.array([0.2, 0.4, 0.6, 0.8, 1.0]) * 13.4
    poses = roll_out(PATHS, targets, forecast, ego)
    np.testing.assert_allclose(poses, _plain_roll_out(PATHS, targets, forecast, ego), atol=1e-9)
