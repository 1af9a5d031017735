"""The parts of EPDMS one by one: lights, lane keeping, direction, progress, removal of objects, rows."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import shapely
from epdms_builders import make_extended
from pdm_builders import (
    WIDE_ROAD,
    ToyMap,
    join_objects,
    make_areas,
    make_context,
    make_frame,
    make_object,
    make_scene,
    start_state,
    straight,
)

from wotempo.errors import UserError
from wotempo.pdm.areas import AreaKind
from wotempo.pdm.epdms.context import ExtendedContext, without_overlapping
from wotempo.pdm.epdms.lane_keeping import lane_keeping
from wotempo.pdm.epdms.score import extended_scores, human_scores
from wotempo.pdm.epdms.scores import ExtendedScores
from wotempo.pdm.epdms.traffic_lights import RedLights, red_lights, traffic_light_compliance
from wotempo.pdm.score import score
from wotempo.pdm.simulate import simulate
from wotempo.pdm.states import HALF_LENGTH, NUM_STEPS, REAR_AXLE_TO_CENTRE, box_points

FRONT = REAR_AXLE_TO_CENTRE + HALF_LENGTH  # of the bumper at the start
LINE = np.array([[-100.0, 0, 0], [200, 0, 0]])


def _cruise(speed: float = 5.0) -> np.ndarray:
    return simulate(start_state(speed), straight(speed))


@pytest.mark.parametrize(
    ("low_x", "steps", "expected"),
    [
        (FRONT - 1e-9, range(1), 0),  # touched at the start
        (FRONT + 1e-6, range(1), 1),  # not yet
        (10.0, range(NUM_STEPS), 0),
        (10.0, range(12), 1),  # green before the bumper is there, at step 12
        (10.0, range(13), 0),
        (10.0, range(40, 41), 0),  # still upon it
        (30.0, range(NUM_STEPS), 1),  # never reached
    ],
)
def test_red_lights(low_x: float, steps: range, expected: float) -> None:
    red = np.zeros((NUM_STEPS, 1), bool)
    red[list(steps)] = True
    lights = RedLights(np.array([shapely.box(low_x, -3, low_x + 20, 3)], object), red)
    assert traffic_light_compliance(lights, box_points(_cruise()))[0] == expected


def test_lights_hold_until_the_next_frame_and_count_on_the_route_of_the_log_only() -> None:
    town = ToyMap({"1": ((0, 0), (20, 0)), "2": ((20, 0), (40, 0))}, ["2"], [("1", "2")])
    # ToyMap's lanes are called 1L and 2L; the log names lanes by number.
    town._lanes["71"] = replace(town.lane("2L"), id="71")
    town._blocks["2"] = replace(town.roadblock("2"), lane_ids=("71",))
    shown = [((71, k in (2, 3)), (99, True)) for k in range(9)]
    frames = [replace(make_frame(k), traffic_lights=lights) for k, lights in enumerate(shown)]
    on_route = red_lights(frames, town, ["1", "2"])
    assert on_route.red.shape == (NUM_STEPS, 1)
    np.testing.assert_array_equal(np.flatnonzero(on_route.red), np.arange(10, 20))
    assert red_lights(frames, town, ["1"]).red.shape == (NUM_STEPS, 0)


@pytest.mark.parametrize(
    ("deviating", "intersection", "expected"),
    [
        (range(0, 19), (), 1),
        (range(0, 20), (), 0),
        (range(21, 41), (), 0),
        ([*range(0, 19), *range(20, 39)], (), 1),  # back on the line in between
        ([*range(0, 19), *range(20, 39)], (19,), 0),  # an intersection does not end the row
        (range(0, 25), range(0, 10), 1),  # nor does it count
        (range(0, 41), range(0, 21), 0),
    ],
)
def test_lane_keeping(deviating: range, intersection: range, expected: float) -> None:
    centres = np.zeros((1, NUM_STEPS, 2))
    centres[0, :, 0] = np.arange(NUM_STEPS)
    centres[0, list(deviating), 1] = 0.51
    inside = np.zeros((1, NUM_STEPS), bool)
    inside[0, list(intersection)] = True
    assert lane_keeping(LINE, centres, inside)[0] == expected


def test_half_a_metre_is_kept() -> None:
    centres = np.zeros((2, NUM_STEPS, 2))
    centres[:, :, 1] = np.array([[0.5], [-0.5 - 1e-9]])
    np.testing.assert_array_equal(lane_keeping(LINE, centres, np.zeros((2, NUM_STEPS), bool)), [1, 0])


def test_direction_does_not_count_in_intersections() -> None:
    wrong_way = (WIDE_ROAD[0], (WIDE_ROAD[1][0], WIDE_ROAD[1][1], False))
    crossing = (AreaKind.INTERSECTION, shapely.box(-50, -50, 100, 50), False)
    for areas, expected in (((*wrong_way,), 0.5), ((*wrong_way, crossing), 1)):
        result = extended_scores(make_extended(make_context(areas=make_areas(*areas))), _cruise())
        assert result.ddc[0] == expected


def test_progress_is_clipped_and_not_masked() -> None:
    """The second row leaves the road: it keeps its progress, and is not the one to compare with."""
    areas = make_areas((AreaKind.ROADBLOCK, shapely.box(-50, -6, 100, 6), False), WIDE_ROAD[1])
    plans = np.concatenate([straight(5), straight(8)])
    plans[1, :, 1:] = np.stack([-np.linspace(1, 16, 8), np.full(8, -0.7)], -1)
    states = simulate(start_state(5), plans)
    context = make_extended(make_context(areas=areas))
    alone = extended_scores(context, states)
    np.testing.assert_array_equal(alone.dac, [1, 0])
    np.testing.assert_array_equal(alone.ep, [1, 1])
    compared = extended_scores(context, states, reference_progress=40.0)
    np.testing.assert_allclose(compared.ep, alone.progress_raw / 40)
    np.testing.assert_array_equal(extended_scores(context, states[1:]).ep, [1], "no valid progress to compare with")
    np.testing.assert_allclose(alone.masked_progress, alone.progress_raw * alone.dac)


def test_time_to_collision_ends_where_the_objects_do() -> None:
    """A contact that lies beyond 4 s for the v1.1 score only: its objects reach 1 s further."""
    parked = make_object(5 * 4 + FRONT + 3, 0, length=2.0)
    short = replace(parked, corners=parked.corners[:NUM_STEPS], present=parked.present[:NUM_STEPS])
    states = _cruise()
    assert score(make_context(parked), states).ttc[0] == 0
    assert extended_scores(make_extended(replace(make_context(), objects=short)), states).ttc[0] == 1
    near = replace(short, corners=short.corners - [2.5, 0])
    assert extended_scores(make_extended(replace(make_context(), objects=near)), states).ttc[0] == 0


def test_objects_on_the_ego_are_removed() -> None:
    def vehicle(x: float, y: float, present: range = range(51)):
        return make_object(x, y, present=present)

    objects = join_objects(
        vehicle(2, 1), vehicle(FRONT + 2.01, 0), vehicle(0, 0, range(1, 51)), vehicle(FRONT + 1.99, 0)
    )
    kept = without_overlapping(objects, start_state())
    np.testing.assert_array_equal(kept.corners, objects.corners[:, 1:3])
    np.testing.assert_array_equal(kept.present, objects.present[:, 1:3])
    nothing = without_overlapping(join_objects(), start_state())
    assert nothing.corners.shape == (51, 0, 4, 2)


def test_human_is_scored_without_history() -> None:
    harsh = np.zeros((14, 11))
    harsh[:, 5] = 9.0
    context = make_extended(history=harsh)
    assert extended_scores(context, _cruise()).hc[0] == 0
    assert human_scores(context, _cruise()).hc[0] == 1


def test_rows_meet_in_progress_only() -> None:
    rng = np.random.default_rng(3)
    plans = np.concatenate([straight(v) for v in rng.uniform(0, 9, 12)])
    plans[:, :, 1] = rng.uniform(-1, 1, (12, 1)) * np.linspace(0.3, 8, 8)
    states = simulate(start_state(5.0), plans)
    cone = make_object(15, 0.5, length=0.5, width=0.5, agent=False, stopped=True)
    lights = RedLights(np.array([shapely.box(20, -3, 40, 3)], object), np.ones((NUM_STEPS, 1), bool))
    areas = make_areas((AreaKind.ROADBLOCK, shapely.box(-50, -6, 100, 6), False), WIDE_ROAD[1])
    context = make_extended(make_context(cone, areas=areas), lights, np.zeros((14, 11)))
    together = extended_scores(context, states, 30.0, states[::-1])
    order = rng.permutation(12)
    shuffled = extended_scores(context, states[order], 30.0, states[::-1][order])
    alone = [extended_scores(context, states[[k]], 30.0, states[[11 - k]]) for k in range(12)]
    for field in fields(ExtendedScores):
        value = getattr(together, field.name)
        np.testing.assert_array_equal(getattr(shuffled, field.name), value[order], err_msg=field.name)
        if field.name != "ep":
            np.testing.assert_array_equal([getattr(row, field.name)[0] for row in alone], value, err_msg=field.name)
    for name in ("nc", "dac", "tlc", "ttc", "lk"):
        assert len(np.unique(getattr(together, name))) > 1, f"{name} is the same in all rows"


def test_missing_history_is_said() -> None:
    scene = make_scene([make_frame(k) for k in range(12)], index=1)
    with pytest.raises(UserError, match="needs 3 frames before the current one, the log has 1"):
        ExtendedContext.extend(make_context(), scene, ToyMap({"1": ((0, 0), (20, 0))}, [], []))
