"""LiDAR sweeps: points lie on what stands there, nothing is seen through anything, noise is seeded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from render_world import BUILDING, POSE, actors, bare_world, busy_street, in_box_frame, scan_lidar

from wotempo.city.sensors import lidar
from wotempo.city.sensors.lidar import AZIMUTHS, BEAMS, MAX_RANGE, ORIGIN, RANGE_NOISE, beam_windows, trace
from wotempo.city.sensors.scenery import take_snapshot
from wotempo.city.sensors.world import AXLE_HEIGHT, GroundClass
from wotempo.geometry import LIDAR_HISTOGRAM

GREY = (120, 120, 120)
MARGIN = 5 * RANGE_NOISE  # of 60,000 points one may be further off than four deviations


def points(world, who=None, pose=POSE, seed=1):
    return scan_lidar(world, who or actors(), pose, seed=seed)[0].astype(float)


def near(cloud, box, margin=0.3):
    """Points above the ground within ``margin`` of a box, in the box's axes."""
    local = in_box_frame(cloud[cloud[:, 2] > -0.3], box)
    return local[(np.abs(local) <= np.array(box[3:6]) / 2 + margin).all(1)]


def test_the_ground_lies_at_minus_0_4():
    cloud = points(bare_world())
    assert len(cloud) > 20_000
    np.testing.assert_allclose(cloud[:, 2], -0.4, atol=MARGIN * np.sin(np.deg2rad(25)))
    radius = np.hypot(cloud[:, 0] - ORIGIN[0], cloud[:, 1])
    np.testing.assert_allclose(radius.min(), 2.1 / np.tan(np.deg2rad(25)), atol=MARGIN)
    assert np.hypot(*(cloud - ORIGIN).T[:2]).max() < MAX_RANGE + MARGIN


def test_the_ego_is_not_in_its_own_cloud():
    around = [("vehicle", (x, y, 0.35, 4.6, 1.9, 1.5, 0.0), GREY) for x, y in ((1.4, 3.0), (1.4, -3.0), (8.0, 0.0))]
    cloud = points(bare_world(), actors(*around))
    assert (cloud[:, 2] > 0.0).sum() > 1000  # the neighbours are
    inside = (cloud[:, 0] > -1.2) & (cloud[:, 0] < 4.1) & (np.abs(cloud[:, 1]) < 1.1) & (cloud[:, 2] < 1.4)
    assert not inside.any()


@pytest.mark.parametrize(
    "box",
    [
        (12.0, 3.0, 0.8, 3.0, 2.0, 2.4, 0.4),
        (-9.0, -6.0, 0.4, 2.0, 4.0, 1.6, -1.0),
        (0.5, 8.0, 1.6, 6.0, 1.0, 4.0, 0.0),
    ],
)
def test_points_lie_on_the_near_faces_of_a_box(box):
    hits = near(points(bare_world((BUILDING, box, GREY))), box)
    half = np.array(box[3:6]) / 2
    assert len(hits) > 300
    # distance to the box's surface: the noise is along the ray, so it is at most the noise itself
    inside = (np.abs(hits) - half).max(1)
    assert np.abs(inside).max() < MARGIN
    # the sensor is outside of exactly these faces
    sensor = in_box_frame(ORIGIN[None], box)[0]
    for axis in range(3):
        for sign in (-1, 1):
            others = [k for k in range(3) if k != axis]
            well_inside = (np.abs(hits[:, others]) < half[others] - 0.1).all(1)
            on_face = well_inside & (np.abs(hits[:, axis] - sign * half[axis]) < MARGIN)
            assert on_face.any() == (sign * sensor[axis] > half[axis])


def test_a_nearer_box_shadows_the_farther_one():
    far = (18.0, 2.0, 0.4, 1.0, 1.0, 1.6, 0.0)
    wall = (9.0, 1.0, 0.6, 0.5, 4.0, 2.0, 0.0)
    thing = ("generic_object", far, GREY)
    assert len(near(points(bare_world(), actors(thing)), far)) > 50
    behind = points(bare_world((BUILDING, wall, GREY)), actors(thing))
    hidden = near(behind, far)
    assert (hidden[:, 2] > 0.5).all()  # only what rises above the line of sight over the wall, if anything
    ground_behind = (
        (np.abs(behind[:, 1] - 1.0) < 1.5) & (behind[:, 0] > 9.5) & (behind[:, 0] < 25) & (behind[:, 2] < -0.3)
    )
    assert not ground_behind.any()


def test_a_thing_ahead_and_left_fills_its_cell_of_the_histogram():
    # 20 cm wide around the centre of the cell that holds (10.1, 5.1)
    post = (10.125, 5.125, 0.6, 0.2, 0.2, 2.0, 0.0)
    cloud = points(bare_world((BUILDING, post, GREY)))
    standing = cloud[cloud[:, 2] > -0.2]
    counts, _, _ = np.histogram2d(standing[:, 0], standing[:, 1], bins=LIDAR_HISTOGRAM.edges())
    assert np.unravel_index(counts.argmax(), counts.shape) == (168, 148)
    assert counts[167:170, 147:150].sum() == counts.sum() > 50
    assert counts[168, 148] > 0.9 * counts.sum()


def test_road_users_return_points_only_from_within_their_boxes():
    box = (9.0, -3.0, 0.35, 4.6, 1.9, 1.5, 0.3)
    hits = near(points(bare_world(), actors(("vehicle", box, GREY))), box, 0.5)
    assert len(hits) > 300
    assert (np.abs(hits) <= np.array(box[3:6]) / 2 + MARGIN).all()


def test_culling_loses_nothing(monkeypatch):
    snapshot = take_snapshot(*busy_street(8), POSE, AXLE_HEIGHT)
    distance, hit, face, _ = trace(snapshot)

    def everywhere(rows):
        return np.tile(np.array([0, len(BEAMS), 0, AZIMUTHS]), (len(rows), 1)), np.zeros(len(rows))

    monkeypatch.setattr(lidar, "beam_windows", everywhere)
    full_distance, full_hit, full_face, _ = trace(snapshot)
    reached = full_distance < MAX_RANGE  # nothing beyond is looked for
    assert (hit >= 0).mean() > 0.2
    np.testing.assert_array_equal(distance[reached], full_distance[reached])
    np.testing.assert_array_equal((hit >= 0)[reached], (full_hit >= 0)[reached])
    np.testing.assert_array_equal(face[reached], full_face[reached])


def test_windows_stay_in_the_grid():
    windows, _ = beam_windows(take_snapshot(*busy_street(9), POSE, AXLE_HEIGHT).primitives)
    assert (windows >= 0).all()
    assert (windows[:, 1] <= len(BEAMS)).all()
    assert (windows[:, 2] < AZIMUTHS).all()
    assert (windows[:, 3] - windows[:, 2] <= AZIMUTHS).all()


@pytest.mark.parametrize("move", [(40_000.0, -25_000.0, 0.0), (0.0, 0.0, 2.1)])
def test_moving_world_and_ego_together_changes_nothing(move):
    there = POSE + np.array(move)
    distance, hit, _, _ = trace(take_snapshot(*busy_street(10), POSE, AXLE_HEIGHT))
    moved, hit_moved, _, _ = trace(take_snapshot(*busy_street(10, there), there, AXLE_HEIGHT))
    same = (hit >= 0) == (hit_moved >= 0)
    assert same.mean() > 0.999
    assert np.isclose(distance[same], moved[same], atol=2e-3).mean() > 0.999


def test_the_seed_decides_the_noise_and_nothing_else_does():
    world, who = busy_street(11)
    first, again, other = (scan_lidar(world, who, POSE, seed=seed) for seed in (7, 7, 8))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0][:1000], other[0][:1000])
    # something new on the left leaves the points on the right as they were
    more = replace(
        world, solids=np.concatenate((world.solids, bare_world((BUILDING, (0, 6, 1, 4, 1, 3, 0), GREY)).solids))
    )
    right = [cloud[cloud[:, 1] < -3] for cloud in (first[0], scan_lidar(more, who, POSE, seed=7)[0])]
    np.testing.assert_array_equal(*right)


def test_noise_has_the_stated_spread():
    wall = (10.0, 0.0, 2.0, 1.0, 30.0, 8.0, 0.0)
    cloud = points(bare_world((BUILDING, wall, GREY)))
    ahead = cloud[(cloud[:, 2] > 0.5) & (np.abs(cloud[:, 1]) < 1.0)]
    assert len(ahead) > 500
    error = (ahead[:, 0] - 9.5) / ((9.5 - ORIGIN[0]) / np.linalg.norm(ahead - ORIGIN, axis=1))
    assert 0.9 * RANGE_NOISE < error.std() < 1.1 * RANGE_NOISE
    assert abs(error.mean()) < 0.2 * RANGE_NOISE


def test_far_and_grazing_returns_get_lost():
    snapshot = take_snapshot(bare_world(ground_class=GroundClass.ROAD), actors(), POSE, AXLE_HEIGHT)
    distance, _, _, _ = trace(snapshot)
    cloud = points(bare_world())
    radius = np.linalg.norm(cloud - ORIGIN, axis=1)
    kept = [
        ((radius > a) & (radius < b)).sum() / ((distance > a) & (distance < b)).sum() for a, b in ((4, 15), (60, 95))
    ]
    assert kept[0] > 0.95
    assert kept[1] < 0.6


def test_marks_on_the_road_reflect_more_and_every_point_is_labelled():
    mean = {}
    for kind in (GroundClass.ROAD, GroundClass.MARKING_WHITE):
        xyz, intensity, ring, lidar_id = scan_lidar(bare_world(ground_class=kind), actors(), POSE)
        mean[kind] = intensity.mean()
        assert xyz.dtype == np.float32
        assert intensity.dtype == ring.dtype == lidar_id.dtype == np.uint8
        assert xyz.shape == (len(ring), 3)
        assert len(intensity) == len(ring) == len(lidar_id)
        assert not lidar_id.any()
        # the ring is the beam: it tells the elevation
        elevation = np.arcsin((xyz[:, 2] - ORIGIN[2]) / np.linalg.norm(xyz - ORIGIN, axis=1))
        np.testing.assert_allclose(elevation, BEAMS[ring], atol=1e-5)
    assert mean[GroundClass.MARKING_WHITE] > 2 * mean[GroundClass.ROAD]
