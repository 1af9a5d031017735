"""At-fault collisions and time to collision on hand-made traffic. The ego starts at the origin, heading along x."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from pdm_builders import WIDE_ROAD, make_areas, make_context, make_object, straight

from wotempo.pdm.areas import AreaKind
from wotempo.pdm.score import score, score_trajectories
from wotempo.pdm.states import HALF_WIDTH, NUM_STEPS, SPEED, STATE_SIZE, X, Y, box_points

T = 0.1 * np.arange(51)
FRONT = box_points(np.zeros(3))[0, 0]
REAR = box_points(np.zeros(3))[1, 0]
STRADDLING = make_areas(
    WIDE_ROAD[0],
    (AreaKind.LANE, shapely.box(-100, 0, 200, 50), True),
    (AreaKind.LANE, shapely.box(-100, -50, 200, 0), True),
)
CROSSING = make_areas(*WIDE_ROAD, (AreaKind.INTERSECTION, shapely.box(-100, -100, 200, 100), False))


def _drive(*objects, speed: float = 5.0, areas=None):
    """Scores of an ego that drives straight on."""
    result = score_trajectories(make_context(*objects, areas=areas, speed=speed), straight(speed))
    return result.nc[0], result.ttc[0]


def _stand(*objects, speed: float, areas=None, steps: int = NUM_STEPS):
    """Scores of an ego that never moves but reports ``speed`` (for the thresholds) during the first ``steps``."""
    states = np.zeros((1, NUM_STEPS, STATE_SIZE))
    states[0, :steps, SPEED] = speed
    result = score(make_context(*objects, areas=areas), states)
    return result.nc[0], result.ttc[0]


def test_free_road() -> None:
    assert _drive() == (1, 1)
    assert _drive(make_object(10, 5)) == (1, 1)


def test_front_collision_with_a_moving_vehicle() -> None:
    assert _drive(make_object(12 + 0.5 * T, 0)) == (0, 0)


@pytest.mark.parametrize(("agent", "expected"), [(True, 0), (False, 0.5)])
def test_standing_agent_costs_all_and_a_static_thing_half(agent: bool, expected: float) -> None:
    assert _drive(make_object(12, 0, agent=agent, stopped=True))[0] == expected


def test_an_agent_after_a_static_thing_still_lowers_to_zero() -> None:
    cone = make_object(8, 1.2, length=0.4, width=0.4, agent=False, stopped=True)
    assert _drive(cone)[0] == 0.5
    assert _drive(cone, make_object(20, 0, stopped=True))[0] == 0
    assert _drive(make_object(20, 0, stopped=True), cone)[0] == 0


def test_touching_is_contact_and_a_hair_less_is_not() -> None:
    wall = make_object(0, 0, length=2, width=8, agent=False, stopped=True)
    for x, expected in ((FRONT, 0.5), (np.nextafter(FRONT, 9), 1)):
        wall.corners[..., 0] = np.array([x + 2, x, x, x + 2])
        assert _stand(wall, speed=1)[0] == expected


def test_collision_at_the_last_step_counts() -> None:
    assert _drive(make_object(23.9, 0, length=0.4, stopped=True))[0] == 0  # the front reaches 24.049 m
    assert _drive(make_object(24.3, 0, length=0.4, stopped=True))[0] == 1


def test_rear_ended_while_moving_is_no_fault() -> None:
    assert _drive(make_object(REAR - 1 + 6 * T, 0, length=2)) == (1, 1)


def test_time_to_collision_charges_what_will_have_overtaken() -> None:
    """NAVSIM compares the object's later place with the ego's present one: a fast follower counts as ahead."""
    assert _drive(make_object(-8 + 9 * T, 0)) == (1, 0)


def test_object_that_rear_ended_is_ignored_from_then_on() -> None:
    """It touches from behind once, jumps ahead, and is driven into: a contact, but not the first."""
    x = np.where(T < 0.35, REAR - 1 + 5 * T, 12.0)
    assert _drive(make_object(12.0, 0, length=2)) == (0, 0)
    assert _drive(make_object(x, 0, length=2)) == (1, 1)


def test_ignoring_is_separate_for_collision_and_time_to_collision() -> None:
    """A bus across, at 39° to the left: no threat by its bearing, ignored by TTC, and then hit with the bumper."""
    assert _drive(make_object(5, 4, length=1, width=6)) == (0, 1)


@pytest.mark.parametrize(("speed", "expected"), [(0.05, 1), (0.0501, 0)])
def test_stopped_ego_is_never_at_fault(speed: float, expected: float) -> None:
    assert _stand(make_object(FRONT, 0, stopped=True), speed=speed)[0] == expected


def test_lateral_contact_is_at_fault_only_across_lanes() -> None:
    beside = make_object(1.4, HALF_WIDTH + 0.9, width=2.0)
    assert _stand(beside, speed=1)[0] == 1
    assert _stand(beside, speed=1, areas=STRADDLING)[0] == 0


def test_lateral_contact_is_at_fault_off_the_road() -> None:
    beside = make_object(1.4, HALF_WIDTH + 0.9, width=2.0)
    narrow = make_areas((AreaKind.ROADBLOCK, shapely.box(-100, -1, 200, 50), False), WIDE_ROAD[1])
    assert _stand(beside, speed=1, areas=narrow)[0] == 0


def test_front_means_the_bumper_not_the_corner_area() -> None:
    """A vehicle moving across: in front of the bumper, and just behind it at the side."""
    assert _stand(make_object(FRONT + 0.9, 1.0, length=2, width=2), speed=1)[0] == 0
    assert _stand(make_object(FRONT - 1.1, HALF_WIDTH + 0.9, length=2, width=2), speed=1)[0] == 1


def test_time_to_collision_looks_nine_tenths_ahead() -> None:
    ahead = FRONT + 1.0  # plus 9 steps of 0.1 s at 5 m/s = 4.5 m
    assert _stand(make_object(ahead + 4.4, 0, length=2, stopped=True), speed=5) == (1, 0)
    assert _stand(make_object(ahead + 4.6, 0, length=2, stopped=True), speed=5) == (1, 1)


@pytest.mark.parametrize(("speed", "expected"), [(0.0049, 1), (0.0051, 0)])
def test_time_to_collision_skips_a_standing_ego(speed: float, expected: float) -> None:
    assert _stand(make_object(FRONT, 0, stopped=True), speed=speed)[1] == expected


def test_time_to_collision_beside_counts_in_intersections_and_across_lanes() -> None:
    beside = make_object(1.4, HALF_WIDTH + 0.9, width=2.0)
    assert _stand(beside, speed=1)[1] == 1
    assert _stand(beside, speed=1, areas=CROSSING)[1] == 0
    assert _stand(beside, speed=1, areas=STRADDLING)[1] == 0


def test_time_to_collision_never_counts_what_is_behind() -> None:
    behind = make_object(REAR - 0.9, 0, length=2)
    assert _stand(behind, speed=1, areas=CROSSING)[1] == 1


def test_time_to_collision_reads_object_steps_up_to_49() -> None:
    """The last projection is step 40 plus 9; step 50 is never asked."""

    def only_at(step: int):
        return make_object(FRONT + 0.5, 0, length=2, stopped=True, present=[step])

    assert _stand(only_at(49), speed=0.1)[1] == 0
    assert _stand(only_at(50), speed=0.1)[1] == 1
    assert _stand(only_at(41), speed=0.1) == (1, 0), "after 4 s there is no collision any more, only a threat"


def test_absent_objects_are_not_there() -> None:
    assert _drive(make_object(12, 0, stopped=True, present=range(30, 51)))[0] == 0
    passed = _drive(make_object(0, 0, stopped=True, present=range(30, 51)))
    assert passed == (1, 1), "the ego has long driven on when it appears"


def test_rows_do_not_influence_each_other() -> None:
    rng = np.random.default_rng(3)
    objects = [
        make_object(rng.uniform(5, 30) + rng.normal(0, 4) * T, (-1) ** k * rng.uniform(3, 7), agent=k % 3 > 0)
        for k in range(6)
    ]
    context = make_context(*objects, areas=STRADDLING)
    poses = np.cumsum(rng.normal([2.5, 0, 0], [1, 0.5, 0.1], (40, 8, 3)), 1)
    together = score_trajectories(context, poses)
    for row in range(0, 40, 7):
        alone = score_trajectories(context, poses[row : row + 1])
        for name in ("nc", "dac", "ttc", "comfort", "ddc"):
            assert getattr(alone, name)[0] == getattr(together, name)[row], name
        assert alone.progress_raw[0] == pytest.approx(together.progress_raw[row], abs=1e-9)
    assert 0 < together.nc.mean() < 1


def test_kernels_agree_with_polygons_step_by_step() -> None:
    """First contacts by shapely, for random boxes: the culling and the separating axes lose none."""
    rng = np.random.default_rng(4)
    states = np.zeros((30, NUM_STEPS, STATE_SIZE))
    states[..., X] = np.cumsum(rng.uniform(0, 0.6, (30, NUM_STEPS)), 1)
    states[..., Y] = rng.uniform(-8, 8, (30, 1))
    states[..., 2] = rng.uniform(-3, 3, (30, 1))
    states[..., SPEED] = 1.0
    for _ in range(20):
        thing = make_object(
            rng.uniform(0, 20), rng.uniform(-8, 8), rng.uniform(-3, 3), rng.uniform(0.3, 6), rng.uniform(0.3, 3),
            agent=False, stopped=True,
        )  # fmt: skip
        nc = score(make_context(thing), states).nc
        ego = shapely.polygons(box_points(states)[:, :, :4])
        meets = shapely.intersects(ego, shapely.Polygon(thing.corners[0, 0])).any(1)
        np.testing.assert_array_equal(nc, np.where(meets, 0.5, 1.0))


def test_object_exactly_on_the_rear_axle_has_no_bearing() -> None:
    """Neither ahead nor behind: no threat in a lane, one in an intersection; and a lateral contact."""
    thing = make_object(0, 0, length=1, width=1)
    assert _stand(thing, speed=1) == (1, 1)
    assert _stand(thing, speed=1, areas=CROSSING) == (1, 0)
