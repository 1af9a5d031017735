"""Progress, driving direction, comfort signals, and how the parts make the score."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from pdm_builders import WIDE_ROAD, make_areas, make_context, make_object, start_state, straight
from scipy.signal import savgol_filter

from wotempo.pdm.areas import AreaKind
from wotempo.pdm.comfort import SIGNALS, comfort_tests
from wotempo.pdm.progress import direction_compliance, progress_along
from wotempo.pdm.score import relative_progress, score, score_trajectories
from wotempo.pdm.simulate import simulate
from wotempo.pdm.states import ACCEL, ACCEL_Y, HEADING, NUM_STEPS, STATE_SIZE

LINE = np.array([[0.0, 0, 0], [10, 0, 0], [10, 0, 1.57], [10, 10, 1.57]])


def test_progress_follows_the_bend_and_ends_with_the_line() -> None:
    centres = np.array([[[2.0, 1], [9, 9], [12, 4]], [[-5, 0], [0, 0], [30, 30]], [[10, 9], [0, 0], [3, 0]]])
    np.testing.assert_allclose(progress_along(LINE, centres), [12, 20, 0])


def test_relative_progress_above_the_threshold() -> None:
    progress = np.array([10.0, 20, 30, 8])
    multiplier = np.array([1.0, 1, 0, 0.5])
    np.testing.assert_allclose(relative_progress(progress, multiplier), [0.5, 1, 0, 0.2])


def test_progress_of_exactly_5_metres_is_not_compared() -> None:
    multiplier = np.array([1.0, 0.5, 0, 1])
    np.testing.assert_array_equal(relative_progress(np.array([5.0, 2, 99, 0]), multiplier), [1, 1, 0, 1])
    assert relative_progress(np.array([5.0 + 1e-9, 2, 99, 0]), multiplier)[3] == 0


def test_reference_progress_joins_the_maximum_only() -> None:
    progress, ones = np.array([10.0, 4]), np.ones(2)
    np.testing.assert_allclose(relative_progress(progress, ones, 20.0), [0.5, 0.2])
    np.testing.assert_allclose(relative_progress(progress, ones, 8.0), [1, 0.4])
    np.testing.assert_allclose(relative_progress(progress / 10, ones, 20.0), [0.05, 0.02])


def test_direction_compliance_sums_eleven_steps() -> None:
    """Steps of 0.25 m are exact in binary: the thresholds 2 and 6 m are met exactly."""

    def off_route(steps: range, step_m: float = 0.25) -> float:
        centres = np.zeros((1, 41, 2))
        centres[0, :, 0] = step_m * np.arange(41)
        oncoming = np.zeros((1, 41), bool)
        oncoming[0, list(steps)] = True
        return direction_compliance(centres, oncoming)[0]

    assert off_route(range(10, 17)) == 1.0  # 1.75 m
    assert off_route(range(10, 18)) == 0.5  # 2 m
    assert off_route(range(0, 8)) == 1.0  # the first sample has no step before it
    assert off_route(range(10, 12), 1.0) == 0.5
    assert off_route(range(10, 15), 1.0) == 0.5
    assert off_route(range(35, 41), 1.0) == 0.0  # 6 m
    assert off_route(range(0, 40, 6), 1.0) == 0.5  # never more than 2 in 11 samples


@pytest.mark.parametrize("name", SIGNALS)
def test_comfort_signals_equal_scipy_and_bounds_are_strict(name: str) -> None:
    """Scale a random motion so that one signal ends just inside, then just outside its bound."""
    rng = np.random.default_rng(SIGNALS.index(name))
    bound = dict(zip(SIGNALS, (2.40, 4.89, 8.37, 4.13, 1.93, 0.95), strict=True))[name]
    states = np.zeros((1, NUM_STEPS, STATE_SIZE))
    if name.startswith("yaw"):
        column = HEADING
        raw = np.cumsum(rng.uniform(0, 0.1, NUM_STEPS))
        order, derivative = (3, 2) if name == "yaw_accel" else (2, 1)
        signal = savgol_filter(raw, 5, order, deriv=derivative, delta=0.1)
    elif name.endswith("accel"):
        column = ACCEL if name == "lon_accel" else ACCEL_Y
        raw = np.abs(rng.normal(2, 1, NUM_STEPS))
        signal = savgol_filter(raw, 41, 2)
    else:
        column = ACCEL if name == "lon_jerk" else ACCEL_Y
        raw = np.cumsum(rng.uniform(0, 0.5, NUM_STEPS))
        signal = savgol_filter(savgol_filter(raw, 8, 2), 41, 2, deriv=1, delta=0.1)
    for factor, expected in ((0.9999, True), (1.0001, False)):
        states[0, :, column] = raw * factor * bound / np.abs(signal).max()
        assert comfort_tests(states)[0, SIGNALS.index(name)] == expected


def test_braking_bound_differs_from_the_accelerating_one() -> None:
    states = np.zeros((2, NUM_STEPS, STATE_SIZE))
    states[:, :, ACCEL] = np.array([-4.0, -4.1])[:, None]
    np.testing.assert_array_equal(comfort_tests(states)[:, 0], [True, False])


def test_yaw_rate_unwraps() -> None:
    states = np.zeros((1, NUM_STEPS, STATE_SIZE))
    states[0, :, HEADING] = (3 + 0.05 * np.arange(NUM_STEPS) + np.pi) % (2 * np.pi) - np.pi
    assert comfort_tests(states).all()


def test_score_is_the_weighted_sum_of_its_parts() -> None:
    """Rows: fine; harsh acceleration; off the road; into a cone; slow."""
    areas = make_areas((AreaKind.ROADBLOCK, shapely.box(-50, -6, 100, 6), False), WIDE_ROAD[1])
    cone = make_object(37, 0, length=0.5, width=0.5, agent=False, stopped=True)
    poses = np.concatenate([straight(5), straight(6.5), straight(5), straight(10), straight(3)])
    poses[2, :, 1:] = np.stack([-np.linspace(1, 16, 8), np.full(8, -0.7)], -1)
    result = score_trajectories(make_context(cone, areas=areas), poses)
    np.testing.assert_array_equal(result.nc, [1, 1, 1, 0.5, 1])
    np.testing.assert_array_equal(result.dac, [1, 1, 0, 1, 1])
    np.testing.assert_array_equal(result.ttc, [1, 1, 1, 0, 1])
    assert result.ep[2] == 0
    best = (result.progress_raw * result.nc * result.dac).max()
    np.testing.assert_allclose(result.ep, result.progress_raw * result.nc * result.dac / best)
    expected = result.nc * result.dac * (5 * result.ep + 5 * result.ttc + 2 * result.comfort) / 12
    np.testing.assert_allclose(result.score, expected)
    np.testing.assert_allclose(result.masked_progress, result.ep * best)


def test_driving_against_traffic_does_not_change_the_v11_score() -> None:
    wrong_way = make_areas(WIDE_ROAD[0], (WIDE_ROAD[1][0], WIDE_ROAD[1][1], False))
    wrong = score_trajectories(make_context(areas=wrong_way), straight(5))
    right = score_trajectories(make_context(), straight(5))
    assert (wrong.ddc[0], right.ddc[0]) == (0.5, 1)
    assert wrong.score[0] == right.score[0] == 1


def test_states_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="states must be"):
        score(make_context(), simulate(start_state(), straight(5))[:, :40])
