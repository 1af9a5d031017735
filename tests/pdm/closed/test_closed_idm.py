"""The driver model and the paths it drives along."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from wotempo.maps.index import with_headings
from wotempo.pdm.closed.idm import idm_acceleration, idm_step
from wotempo.pdm.closed.paths import FollowedPath
from wotempo.pdm.states import HALF_WIDTH


def _accel(speed: float, target: float, gap: float, leader_speed: float = 0.0) -> float:
    return float(idm_acceleration(*(np.array([value]) for value in (speed, target, gap, leader_speed)))[0])


def test_formula() -> None:
    wanted_gap = 1.0 + 10 * 1.5 + 10 * (10 - 8) / (2 * (1.5 * 3.0) ** 0.5)
    assert _accel(10, 15, 30, 8) == pytest.approx(1.5 * (1 - (10 / 15) ** 10 - (wanted_gap / 30) ** 2))
    assert _accel(10, 15, 30, 8) == pytest.approx(0.7588, abs=1e-4)


def test_equilibria_and_limits() -> None:
    assert _accel(15, 15, np.inf) == pytest.approx(0.0, abs=1e-12), "at the wanted speed on a free road"
    assert _accel(0, 15, 1.0) == pytest.approx(0.0, abs=1e-12), "standing at the minimum gap"
    assert _accel(0, 15, np.inf) == 1.5
    assert _accel(15, 15, 1.0) == -3.0
    assert _accel(5, 15, -7.0, 3.0) == _accel(5, 15, 1.0, 3.0), "no gap is smaller than the minimum gap"


def test_a_step_moves_with_the_old_speed() -> None:
    progress, speed = idm_step(*(np.array([value]) for value in (3.0, 4.0, 15.0, 1e9, 0.0)))
    assert progress[0] == pytest.approx(3.4)
    assert speed[0] == pytest.approx(4.0 + 0.15 * (1 - (4 / 15) ** 10))


@pytest.mark.parametrize("speed", [0.0, 5.0, 12.0])
@pytest.mark.parametrize("target", [3.0, 13.4])
def test_drivers_reach_their_speed_and_stop_behind_a_wall(speed: float, target: float) -> None:
    free, wall = 1e9, 200.0
    progress, speeds = np.zeros(2), np.full(2, speed)
    for _ in range(1200):
        progress, speeds = idm_step(
            progress, speeds, np.full(2, target), np.array([free, wall]) - progress, np.zeros(2)
        )
        assert progress[1] < wall
    assert speeds[0] == pytest.approx(target, rel=1e-3)
    assert speeds[1] == pytest.approx(0.0, abs=0.05)
    assert wall - progress[1] == pytest.approx(1.0, abs=0.3)


STRAIGHT = with_headings(np.array([[float(x), 0.0] for x in range(0, 51, 5)]))
BEND = with_headings(np.array([[np.sin(a), 1 - np.cos(a)] for a in np.linspace(0, np.pi, 40)]) * 20)


@pytest.mark.parametrize("offset", [0.0, -1.0, 1.0])
def test_offsets_are_to_the_left(offset: float) -> None:
    path = FollowedPath.beside(STRAIGHT, offset)
    np.testing.assert_allclose(path.at(np.array([0.0, 12.5]))[:, 1], offset)
    bend = FollowedPath.beside(BEND, offset)
    assert bend.progress[-1] == pytest.approx(np.pi * (20 - offset), rel=0.03), "left of a left bend is shorter"
    np.testing.assert_allclose(bend.poses[:, 2], np.unwrap(BEND[:, 2]))
    assert bend.line.length == pytest.approx(bend.progress[-1])


def test_poses_are_linear_between_vertices_and_end_with_the_path() -> None:
    path = FollowedPath.beside(STRAIGHT, 0.0)
    np.testing.assert_allclose(path.at(np.array([-3.0, 0.0, 7.5, 50.0, 80.0]))[:, 0], [1e-5, 1e-5, 7.5, 50, 50])
    assert path.at(np.zeros((2, 3))).shape == (2, 3, 3)


def test_headings_turn_the_short_way_across_pi() -> None:
    line = np.array([[0, 0, np.pi - 0.1], [-10, 0, -np.pi + 0.1], [-20, 0, -np.pi + 0.1]])
    heading = FollowedPath.beside(line, 0.0).at(np.array([2.5, 5.0, 7.5]))[:, 2]
    np.testing.assert_allclose(np.abs(heading), [np.pi - 0.05, np.pi, np.pi - 0.05])


def test_vertices_that_coincide_where_lanes_meet() -> None:
    first, second = STRAIGHT, STRAIGHT + np.array([50.0, 0, 0])
    path = FollowedPath.beside(np.concatenate((first, second)), 1.0)
    at = path.at(np.linspace(0, 100, 201))
    np.testing.assert_allclose(at[:, 0], np.maximum(np.linspace(0, 100, 201), 1e-5), atol=1e-9)
    assert np.isfinite(at).all()


def test_corridor_has_square_ends_and_begins_at_a_vertex() -> None:
    corridor = FollowedPath.beside(STRAIGHT, 0.0).corridor(7.0, 31.0)
    np.testing.assert_allclose(corridor.bounds, (10 - HALF_WIDTH, -HALF_WIDTH, 30 + HALF_WIDTH, HALF_WIDTH))
    assert corridor.area == pytest.approx((20 + 2 * HALF_WIDTH) * 2 * HALF_WIDTH)


def test_short_corridors_are_cut_exactly() -> None:
    path = FollowedPath.beside(STRAIGHT, 0.0)
    np.testing.assert_allclose(
        path.corridor(6.0, 9.0).bounds, (6 - HALF_WIDTH, -HALF_WIDTH, 9 + HALF_WIDTH, HALF_WIDTH)
    )
    square = path.corridor(70.0, 90.0)
    assert square.equals(shapely.box(50 - HALF_WIDTH, -HALF_WIDTH, 50 + HALF_WIDTH, HALF_WIDTH)), "past the end"
