"""Simulation of proposals against the official simulator's numbers, and its symmetries."""

from __future__ import annotations

import numpy as np
import pytest
from pdm_builders import make_frame, start_state, straight

from wotempo.geometry.pose import compose, wrap_angle
from wotempo.pdm.comfort import comfort_tests
from wotempo.pdm.reference import reference_poses, resample
from wotempo.pdm.simulate import MAX_STEERING, simulate
from wotempo.pdm.states import SPEED, STEERING, ego_state
from wotempo.pdm.tracker import profiles

T = 0.5 * np.arange(1, 9)
ZERO = np.zeros(8)
# x, y, heading, speed, acceleration, steering, steering rate, yaw rate, yaw acceleration
COLUMNS = [0, 1, 2, 3, 5, 7, 8, 9, 10]
# case: start speed and acceleration, proposal, state at 2 s and at 4 s, comfort tests in the order of SIGNALS
CASES = {
    "keeps speed": (
        (5, 0), (5 * T, ZERO, ZERO),
        (10, 0, 0, 5, 0, 0, 0, 0, 0), (20, 0, 0, 5, 0, 0, 0, 0, 0), (1, 1, 1, 1, 1, 1),
    ),
    "speeds up": (
        (5, 0), (10 * T, ZERO, ZERO),
        (14.961182, 0, 0, 9.413686, 0.835288, 0, 0, 0, 0),
        (34.529461, 0, 0, 9.961946, 0.056355, 0, 0, 0, 0), (0, 1, 1, 1, 1, 1),
    ),
    "stops": (
        (5, 0), (ZERO, ZERO, ZERO),
        (5.038818, 0, 0, 0.586314, -0.835288, 0, 0, 0, 0),
        (5.495156, 0, 0, 0.075157, -0.047965, 0, 0, 0, 0), (1, 1, 1, 1, 1, 1),
    ),
    "turns": (
        (5, 0), (20 * np.sin(T / 4), 20 * (1 - np.cos(T / 4)), T / 4),
        (9.736416, 1.676151, 0.501220, 4.994062, -0.000841, 0.225216, -0.021368, 0.370395, -0.036440),
        (16.583837, 8.757384, 1.066128, 4.993843, 0.000164, 0.120096, -0.025930, 0.195093, -0.042538),
        (1, 1, 1, 1, 1, 1),
    ),
    "changes lane without heading": (
        (8, 1), (8 * T, 3.5 * np.clip((T - 0.5) / 3, 0, 1), ZERO),
        (16.187749, 0.171906, 0.058206, 8.036753, -0.049795, 0.034307, 0.012790, 0.089293, 0.032782),
        (32.070756, 2.238754, 0.167341, 8.002480, -0.003660, -0.011414, -0.048544, -0.029570, -0.125762),
        (1, 1, 1, 1, 1, 1),
    ),
}  # fmt: skip


def _proposal(name: str) -> np.ndarray:
    return np.stack(CASES[name][1], -1)[None]


@pytest.mark.parametrize("name", CASES)
def test_states_equal_the_official_simulator(name: str) -> None:
    start, _, at_2s, at_4s, _ = CASES[name]
    states = simulate(start_state(*start), _proposal(name))
    assert states.shape == (1, 41, 11)
    np.testing.assert_allclose(states[0, 20, COLUMNS], at_2s, atol=1e-6)
    np.testing.assert_allclose(states[0, 40, COLUMNS], at_4s, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_comfort_equals_the_official_scorer(name: str) -> None:
    start, _, _, _, expected = CASES[name]
    states = simulate(start_state(*start), _proposal(name))
    np.testing.assert_array_equal(comfort_tests(states)[0], np.array(expected, bool))


def test_profiles_of_the_turn() -> None:
    speed, curvature = profiles(reference_poses(start_state(), _proposal("turns")))
    np.testing.assert_allclose(speed[0, [0, 10, 39]], (4.989735, 4.990962, 4.993962), atol=1e-6)
    np.testing.assert_allclose(curvature[0, [0, 20, 39]], (0.050081, 0.050071, 0.050059), atol=1e-6)


def test_curvature_profile_is_the_ridge_solution() -> None:
    rng = np.random.default_rng(0)
    reference = np.cumsum(rng.normal([0.5, 0.05, 0.02], 0.05, (1, 41, 3)), 1)
    speed, curvature = profiles(reference)
    turn = np.diff(reference[0, :, 2])
    integrate = np.tril(np.full((40, 40), 0.1), 0)  # first curvature and 39 rates -> curvatures
    integrate[:, 0] = 1
    design = 0.1 * speed[0][:, None] * integrate
    ridge = np.diag([1e-10] + 39 * [1e-2])
    expected = integrate @ np.linalg.solve(design.T @ design + ridge, design.T @ turn)
    np.testing.assert_allclose(curvature[0], expected, atol=1e-9)


def test_a_row_does_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(1)
    poses = np.cumsum(rng.normal([2, 0, 0], [1, 0.5, 0.1], (16, 8, 3)), 1)
    together = simulate(start_state(), poses)
    alone = np.concatenate([simulate(start_state(), pose[None]) for pose in poses])
    np.testing.assert_allclose(together, alone, atol=1e-12)


def test_motion_does_not_depend_on_where_north_is() -> None:
    """Heading across ±π, UTM-sized coordinates."""
    poses = np.concatenate([_proposal("turns"), -_proposal("turns") * [-1, 1, 1]])
    base = simulate(start_state(), poses)
    turned_start = start_state()
    turned_start[:3] = 664000.0, 3996000.0, np.pi - 0.1
    turned = simulate(turned_start, poses)
    np.testing.assert_allclose(turned[..., 3:], base[..., 3:], atol=1e-6)
    error = turned[..., :3] - compose(turned_start[:3], base[..., :3])
    np.testing.assert_allclose(np.concatenate([error[..., :2], wrap_angle(error[..., 2:])], -1), 0, atol=1e-6)
    assert np.ptp(turned[..., 2]) > 6, "the heading should have jumped"


def test_steering_is_limited() -> None:
    poses = np.tile([[0.0, 3.0, 2.0]], (1, 8, 1))
    steering = simulate(start_state(2.0), poses)[..., STEERING]
    assert np.abs(steering).max() == MAX_STEERING


def test_reference_samples_other_intervals_and_freezes_after_a_short_plan() -> None:
    coarse = straight(6.0)
    fine = np.zeros((1, 40, 3))
    fine[0, :, 0] = 0.6 * np.arange(1, 41)
    ego = start_state()
    np.testing.assert_allclose(reference_poses(ego, fine, 0.1), reference_poses(ego, coarse), atol=1e-5)
    short = reference_poses(ego, coarse[:, :4])
    np.testing.assert_allclose(short[0, 21:], np.tile(coarse[0, 3], (20, 1)))
    np.testing.assert_allclose(short[0, :20], reference_poses(ego, coarse)[0, :20])


def test_reference_times_are_truncated_to_microseconds() -> None:
    """Seconds since 1970 as float64 resolve 0.24 µs, so that NAVSIM samples some rows 1 µs early; at 10 m/s, 1e-5 m."""
    reference = reference_poses(start_state(), straight(10.0), start_us=1_600_000_000_123_457)[0, :, 0]
    early = np.zeros(41)
    early[1:37:5] = 1e-5
    np.testing.assert_allclose(reference, np.arange(41) - early, atol=1e-9)


@pytest.mark.parametrize("start_us", [1_687_014_484_757_553, 1_535_131_124_120_511, 1_677_897_566_869_800])
def test_reference_times_are_those_of_the_devkit_to_the_microsecond(start_us: int) -> None:
    """Its seconds are microseconds times 1e-6; divided by 1e6 some of these samples would lie 1 µs apart."""
    sample_us = np.array([int((k * 0.1 + start_us * 1e-6) * 1e6) for k in range(41)]) - start_us
    divided_us = np.array([int((k * 0.1 + start_us / 1e6) * 1e6) for k in range(41)]) - start_us
    assert (sample_us != divided_us).any(), "no case that tells the two apart"
    knots = np.concatenate((np.zeros((1, 1, 3)), straight(10.0)), 1)  # 10 m/s: 1e-5 m a microsecond
    knot_us = 500_000 * np.arange(9)
    sampled = resample(knots, knot_us, start_us)[0, :, 0]
    np.testing.assert_allclose(sampled, np.clip(sample_us, 0, 4_000_000) * 1e-5, atol=1e-9)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, K, 3\)"):
        simulate(start_state(), np.zeros((8, 3)))


def test_start_state_holds_velocities_as_navsim_stores_them() -> None:
    state = ego_state(make_frame(pose=(1, 2, 3), ego_velocity=(0.1, 0.2), ego_acceleration=(0.3, 0.4)))
    np.testing.assert_array_equal(state[3:7], np.array([0.1, 0.2, 0.3, 0.4], np.float32).astype(np.float64))
    np.testing.assert_array_equal(state[:3], (1, 2, 3))
    assert not state[7:].any()


def test_stopping_controller_holds_the_steering() -> None:
    states = simulate(start_state(0.1), np.tile([[0.0, 0.3, 0.2]], (1, 8, 1)))
    assert np.abs(states[0, :, STEERING]).max() == 0
    assert states[0, -1, SPEED] < 0.1
