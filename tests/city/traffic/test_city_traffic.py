"""Traffic: nobody touches anybody, nobody runs a red light, and no single frame tells what comes next."""

from __future__ import annotations

import numpy as np
import shapely

from wotempo.city.traffic.drive import WARM_UP_S
from wotempo.city.traffic.ego import drivable_area, ego_corners
from wotempo.city.traffic.fleet import EGO_LENGTH, EGO_WIDTH
from wotempo.city.traffic.overlap import boxes_touch
from wotempo.city.traffic.people import VEHICLE
from wotempo.city.traffic.signals import GREEN, RED, YELLOW, SignalPlan
from wotempo.city.traffic.simulation import DT

FIRST = round(WARM_UP_S / DT)


def touching(people, step: int, movers: np.ndarray, others: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (mover, other) whose boxes overlap."""
    pose, size = people.poses[step], people.sizes
    i, j = np.meshgrid(movers, others, indexing="ij")
    near = (np.hypot(*(pose[i, :2] - pose[j, :2]).transpose(2, 0, 1)) < 10.0) & (i != j)
    i, j = i[near], j[near]
    a, b = (np.concatenate([pose[k, :2], size[k, :2], pose[k, 2:]], 1) for k in (i, j))
    hit = boxes_touch(a, b)
    return list(zip(i[hit].tolist(), j[hit].tolist(), strict=True))


def test_vehicles_touch_no_vehicle_and_no_crossing_pedestrian(simulated):
    fleet, crossers = len(simulated.drive.fleet), len(simulated.drive.crossers.pace)
    vehicles, others = np.arange(fleet), np.arange(fleet + crossers)
    for step in range(FIRST, len(simulated.people.poses), 4):
        assert touching(simulated.people, step, vehicles, others) == []


def test_the_ego_touches_nothing_at_all(simulated):
    everyone = np.arange(len(simulated.people.classes))
    for step in range(FIRST, len(simulated.people.poses)):
        assert touching(simulated.people, step, np.array([simulated.ego]), everyone) == []


def test_red_lights_are_respected(simulated):
    drive, crossed = simulated.drive, 0
    phases = {element: (node, phase) for element, node, phase in drive.network.phases}
    for v in range(len(drive.fleet)):
        bumper = drive.tracks.s[:, v] + drive.fleet.front[v]
        for element, start in zip(drive.paths.elements[v], drive.paths.starts[v], strict=False):
            step = int(np.searchsorted(bumper, start))
            if element in phases and 0 < step < len(bumper):
                node, phase = phases[int(element)]
                assert drive.tracks.lights[step, node, phase] != RED
                crossed += 1
    assert crossed > 3


def test_speeds_follow_from_accelerations_and_places_from_speeds(simulated):
    tracks = simulated.drive.tracks
    assert tracks.speed.min() >= 0.0
    assert np.allclose(np.diff(tracks.speed, axis=0), tracks.acceleration[1:] * DT, atol=1e-9)
    mean = (tracks.speed[1:] + tracks.speed[:-1]) / 2
    assert np.allclose(np.diff(tracks.s, axis=0), mean * DT, atol=1e-9)
    assert tracks.speed[FIRST:].max() > 5.0


def test_the_expert_drives_comfortably(simulated):
    tracks, ego = simulated.drive.tracks, simulated.ego
    acceleration = tracks.acceleration[FIRST:, ego]
    assert acceleration.min() > -4.05  # the bounds of the PDM score's comfort
    assert acceleration.max() < 2.4
    # over half a second, which still is finer than the score's own smoothing
    jerk = (acceleration[5:] - acceleration[:-5]) / 0.5
    assert np.abs(jerk).max() < 8.37
    yaw_rate = np.gradient(simulated.drive.poses[FIRST:, ego, 2], DT)
    assert np.abs(yaw_rate).max() < 0.95
    assert np.abs(yaw_rate * tracks.speed[FIRST:, ego]).max() < 2.6


def test_the_expert_stays_on_the_road(simulated):
    corners = ego_corners(simulated.drive.poses[FIRST:, simulated.ego])
    spans = np.hypot(*(corners[:, 0] - corners[:, 1]).T), np.hypot(*(corners[:, 0] - corners[:, 3]).T)
    assert np.allclose(spans[0], EGO_LENGTH)
    assert np.allclose(spans[1], EGO_WIDTH)
    assert shapely.contains_xy(drivable_area(simulated.district.network), *corners.reshape(-1, 2).T).all()


def test_the_same_gap_closes_and_opens(simulated):
    """What a leader at 8 to 14 m does relative to its follower: a single frame cannot tell."""
    people, fleet = simulated.people, len(simulated.drive.fleet)
    rates = []
    for step in range(FIRST, len(people.poses) - 10, 5):
        now, later = people.poses[step, :fleet], people.poses[step + 10, :fleet]
        offset = now[None, :, :2] - now[:, None, :2]
        cos, sin = np.cos(now[:, 2])[:, None], np.sin(now[:, 2])[:, None]
        along, aside = cos * offset[..., 0] + sin * offset[..., 1], cos * offset[..., 1] - sin * offset[..., 0]
        i, j = np.nonzero((along > 8.0) & (along < 14.0) & (np.abs(aside) < 1.0))
        after = np.hypot(*(later[j, :2] - later[i, :2]).T)
        rates += list(after - np.hypot(*(now[j, :2] - now[i, :2]).T))
    rates = np.array(rates)
    assert len(rates) > 20
    assert np.percentile(rates, 10) < -0.4  # m within the next second
    assert np.percentile(rates, 90) > 0.4


def test_some_brake_hard_and_some_stop_and_go(simulated):
    tracks = simulated.drive.tracks
    assert (tracks.acceleration.min(0) < -2.5).sum() >= 3
    stops = ((tracks.speed[:-1] > 0.1) & (tracks.speed[1:] <= 0.1)).sum(0)
    assert (stops >= 2).sum() >= 1


def test_everyone_has_a_class_and_pedestrians_walk(simulated):
    people = simulated.people
    assert set(range(7)) >= set(people.classes.tolist())
    assert len(set(people.classes.tolist())) >= 5
    speed = np.hypot(*people.velocity[FIRST].T)
    walking = speed[people.classes == 1]
    assert ((walking > 0.5) & (walking < 2.0)).sum() > 5
    assert (speed[people.classes == VEHICLE] == 0).sum() > 5  # parked ones among them


def test_signal_phases_are_never_green_together():
    plan = SignalPlan(np.array([[8.0, 11.0]]), np.array([3.0]))
    state = plan.state(np.arange(0.0, 60.0, 0.1))[:, 0]
    assert not ((state[:, 0] != RED) & (state[:, 1] != RED)).any()
    assert {GREEN, YELLOW, RED} == set(state.ravel().tolist())
    changes = state[1:, 0] - state[:-1, 0]
    assert set(changes.tolist()) <= {0, 1, -2}  # green, yellow, red, green
    left = plan.red_left(np.arange(0.0, 60.0, 0.1))[:, 0]
    assert ((left > 0) == (state == RED)).all()


def test_boxes_touch_by_hand():
    a = np.array([0.0, 0.0, 4.0, 2.0, 0.0])
    others = np.array(
        [
            [3.9, 0.0, 4.0, 2.0, 0.0],  # overlapping ends
            [4.1, 0.0, 4.0, 2.0, 0.0],
            [0.0, 2.0, 4.0, 2.0, 0.0],  # touching sides count
            [0.0, 2.1, 4.0, 2.0, 0.0],
            [-2.33, 2.33, 4.0, 2.0, np.pi / 4],  # only the other box's axes separate them
            [-2.1, 2.1, 4.0, 2.0, np.pi / 4],
        ]
    )
    assert boxes_touch(a, others).tolist() == [True, False, True, False, False, True]
