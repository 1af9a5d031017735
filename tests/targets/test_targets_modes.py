"""What ``fixed`` mends, cell by cell, and what both modes share."""

from __future__ import annotations

import numpy as np
import pytest
from stored_scene import SmallMap, make_frame

from wotempo.errors import UserError
from wotempo.geometry import SEMANTIC_FRONT, inverse, relative_to
from wotempo.navsim.schema import Log, Scene
from wotempo.targets import TargetSpec, agent_target, bev_map_target, future_base_map, paint_ego, trajectory_target
from wotempo.targets.raster import BevCanvas, box_ring
from wotempo.targets.spec import BevClass

COMPAT, FIXED = TargetSpec(mode="compat"), TargetSpec(mode="fixed")
EMPTY = SmallMap({}, {})
UTM = np.array([664_000.0, 3_998_000.0, 0.7])


def box(x, y, length=2.0, width=1.0, yaw=0.0):
    return [x, y, 0.0, length, width, 1.5, yaw]


def scene_of(boxes, names, pose=UTM):
    return Scene(Log("log", "golden", [make_frame(0, pose, boxes, names)]), 0)


def square(x, y, half):
    return np.array([[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]])


@pytest.mark.parametrize(("spec", "value"), [(COMPAT, BevClass.EGO), (FIXED, BevClass.PEDESTRIAN)])
def test_pedestrians(spec, value):
    drawn = bev_map_target(scene_of([box(20, 10)], ["pedestrian"]), EMPTY, spec)
    assert drawn[20 * 4, (10 + 32) * 4] == value


@pytest.mark.parametrize("spec", [COMPAT, FIXED])
def test_bicycles_are_in_no_class(spec):
    with_bicycle = bev_map_target(scene_of([box(20, 10)], ["bicycle"]), EMPTY, spec)
    np.testing.assert_array_equal(with_bicycle, bev_map_target(scene_of(np.zeros((0, 7)), []), EMPTY, spec))


def test_only_compat_pulls_what_is_just_behind_onto_the_grid():
    scene = scene_of([box(-0.15, 10, length=0.1)], ["vehicle"])
    assert (bev_map_target(scene, EMPTY, COMPAT) == BevClass.VEHICLE).any()
    assert not (bev_map_target(scene, EMPTY, FIXED) == BevClass.VEHICLE).any()


def test_fixed_ego_is_the_vehicle_footprint_and_compat_the_public_one():
    for spec, (rear, front, half_width) in {COMPAT: (-2.0, 2.0, 1.0), FIXED: (-1.127, 4.049, 1.1485)}.items():
        pose = np.array([10.0, 3.0, 0.0])
        painted = np.argwhere(paint_ego(np.zeros(SEMANTIC_FRONT.shape, np.uint8), pose[None], spec)[0] == BevClass.EGO)
        x, y = SEMANTIC_FRONT.to_metres(painted[:, 0], painted[:, 1])
        bounds = [10 + rear, 10 + front, 3 - half_width, 3 + half_width]
        np.testing.assert_allclose([x.min(), x.max(), y.min(), y.max()], bounds, atol=SEMANTIC_FRONT.cell_x / 2)


def test_fixed_sees_the_corner_that_compat_misses():
    askew = np.array([0.0, 0.0, np.pi / 4])
    corner = relative_to(inverse(askew), np.array([30.0, 30.0, 0.0]))[:2]  # to global
    city = SmallMap({"walkways": {"1": square(*corner, 1.0)}}, {})
    scene = scene_of(np.zeros((0, 7)), [], pose=askew)
    cell = (30 * 4, (30 + 32) * 4)
    assert bev_map_target(scene, city, COMPAT)[cell] == BevClass.BACKGROUND
    assert bev_map_target(scene, city, FIXED)[cell] == BevClass.WALKWAY


def test_later_classes_cover_earlier_ones():
    here = {"lanes_polygons": {"1": square(0, 0, 40)}, "walkways": {"2": square(0, 0, 30)}}
    city = SmallMap(here, {"1": np.array([[-40.0, 5.0, 0.0], [40.0, 5.0, 0.0]])})
    boxes = [box(10, 5, 8), box(10, 5, 6), box(10, 5, 4)]
    drawn = bev_map_target(scene_of(boxes, ["pedestrian", "vehicle", "barrier"], np.zeros(3)), city, FIXED)
    column = (5 + 32) * 4
    assert drawn[80, column + 20] == BevClass.WALKWAY  # over the road
    assert drawn[80, column] == BevClass.CENTRELINE  # over the walkway
    assert drawn[40, column] == BevClass.PEDESTRIAN  # over vehicle and barrier, whatever the order of annotation
    assert drawn[124, column + 40] == BevClass.ROAD


@pytest.mark.parametrize("mode", ["compat", "fixed"])
def test_random_boxes_cover_their_cells_and_at_most_a_rim(mode):
    generator = np.random.default_rng(0)
    grid = SEMANTIC_FRONT
    row, col = np.mgrid[: grid.rows, : grid.cols]
    x, y = grid.to_metres(row, col)
    for _ in range(30):
        centre = np.array([generator.uniform(3, 29), generator.uniform(-29, 29), generator.uniform(-np.pi, np.pi)])
        length, width = generator.uniform(1, 6, 2)
        canvas = BevCanvas(grid, mode)
        canvas.box(centre, length, width, 1)
        painted = canvas.finish() == 1
        local = relative_to(centre, np.stack([x, y, np.zeros_like(x)], -1))
        beyond = np.maximum(np.abs(local[..., 0]) - length / 2, np.abs(local[..., 1]) - width / 2)
        assert painted[beyond < -grid.cell_x].all()
        assert not painted[beyond > 1.5 * grid.cell_x].any()


def test_box_ring_corners():
    ring = box_ring(np.array([1.0, 2.0, np.pi / 2]), length=4.0, width=2.0)
    np.testing.assert_allclose(ring, [[0, 4], [0, 0], [2, 0], [2, 4], [0, 4]], atol=1e-12)


@pytest.mark.parametrize("spec", [COMPAT, FIXED])
def test_what_stands_still_stays_in_its_cells_while_the_ego_drives(spec):
    """A global box, annotated in both ego frames, is drawn at the same place now and 4 s later."""
    poses = UTM + np.arange(9)[:, None] * np.array([1.5, 0.8, 0.02])
    standing = UTM[:2] + 14.0
    frames = []
    for i, pose in enumerate(poses):
        x, y, yaw = relative_to(pose, np.array([*standing, 0.3]))
        frames.append(make_frame(i, pose, [box(x, y, 4.0, 2.0, yaw)], ["vehicle"]))
    scene = Scene(Log("log", "golden", frames), 0)
    now, later = bev_map_target(scene, EMPTY, spec), future_base_map(scene, EMPTY, spec)
    np.testing.assert_array_equal(now == BevClass.VEHICLE, later == BevClass.VEHICLE)
    assert (later == BevClass.VEHICLE).sum() > 100
    assert not (later == BevClass.EGO).any()


def test_future_map_shows_one_ego_per_sampled_anchor(stored_scene, stored_map):
    poses = np.array([[12.0, 1.0, 0.1], [25.0, -6.0, -0.4]], np.float32)
    base = future_base_map(stored_scene, stored_map, FIXED)
    before = base.copy()
    maps = paint_ego(future_base_map(stored_scene, stored_map, FIXED), poses, FIXED)
    np.testing.assert_array_equal(maps, paint_ego(base, poses, FIXED))
    np.testing.assert_array_equal(base, before)  # the cached base is not drawn on
    for drawn, pose in zip(maps, poses, strict=True):
        x, y = SEMANTIC_FRONT.to_metres(*np.argwhere(drawn == BevClass.EGO).mean(0))
        expected = pose[:2] + 1.461 * np.array([np.cos(pose[2]), np.sin(pose[2])])
        np.testing.assert_allclose([x, y], expected, atol=0.2)


def test_agents_are_the_nearest_vehicles_inside():
    generator = np.random.default_rng(1)
    boxes = [box(*generator.uniform(-30, 30, 2), yaw=0.5) for _ in range(40)]
    boxes += [box(1, 0), box(32.0, 0.0), box(32.1, 0.0), box(2, 0)]
    names = ["vehicle"] * 40 + ["vehicle", "vehicle", "vehicle", "bicycle"]
    states, labels = agent_target(make_frame(0, UTM, boxes, names), FIXED)
    distance = np.linalg.norm(states[:, :2], axis=-1)
    assert labels.all()
    assert (np.diff(distance) >= 0).all()
    np.testing.assert_allclose(states[0], [1, 0, 0, 2, 1])
    assert not (states[:, 0] == 2).any()  # the bicycle
    few, labels = agent_target(make_frame(0, UTM, boxes[-4:], names[-4:]), FIXED)
    np.testing.assert_array_equal(few[:2, 0], [1, 32])  # the border counts, beyond does not
    assert labels.sum() == 2
    assert not few[2:].any()


def test_targets_name_the_scene_that_cannot_teach():
    short = Scene(Log("log", "golden", [make_frame(i, UTM, np.zeros((0, 7))) for i in range(5)]), 0)
    with pytest.raises(UserError, match=f"{short.token}.*4 future frames"):
        trajectory_target(short)
    with pytest.raises(UserError, match=f"{short.token}.*4 future frames"):
        future_base_map(short, EMPTY, FIXED)
    bare = Scene(Log("log", "private", [make_frame(3, UTM, None)]), 0)
    with pytest.raises(UserError, match=f"{bare.token}.*no annotations"):
        bev_map_target(bare, EMPTY, FIXED)


def test_spec_refuses_nonsense_and_hashes_what_is_cached():
    with pytest.raises(UserError, match="compat or fixed"):
        TargetSpec(mode="better")
    with pytest.raises(UserError, match="future_index"):
        TargetSpec(future_index=9)
    assert COMPAT.content_hash != FIXED.content_hash
    assert TargetSpec(num_agents=20).content_hash != FIXED.content_hash
    assert TargetSpec(num_sampled=3).content_hash == FIXED.content_hash  # painted per batch, never cached
