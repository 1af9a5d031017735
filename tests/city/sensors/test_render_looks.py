"""What a model could learn from the colours: lights, markings, shadows; and that nothing flickers far away."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from render_world import CELL, POSE, SIZE, actors, bare_world, busy_street, project, render_camera, to_global

from wotempo.city.sensors.primitives import ELLIPSOID, actor_primitives
from wotempo.city.sensors.rig import rig_camera
from wotempo.city.sensors.world import AXLE_HEIGHT, GroundClass

CAR = (4.6, 1.9, 1.5)


def picture(world, who, pose=POSE, name="CAM_F0"):
    return render_camera(world, who, pose, rig_camera(name, "x.jpg")).astype(int)


def pixel_of(point, name="CAM_F0") -> tuple[int, int]:
    """(row, column) of an ego-frame point in the rendered image."""
    (u, v), _ = project(rig_camera(name, "x.jpg"), np.array(point, float))
    return round((v + 0.5) / 4 - 0.5), round((u + 0.5) / 4 - 0.5)


@pytest.mark.parametrize("distance", [12.0, 40.0])
@pytest.mark.parametrize(("colour", "channel"), [((240, 40, 30), 0), ((40, 220, 90), 1)])
def test_the_colour_of_a_traffic_light_is_visible(distance, colour, channel):
    # a head of 1.2 m: red shines at its top, green at its bottom
    place = (distance, -1.0, 3.0)
    image = picture(bare_world(), actors(lights=((*place, *colour),)))
    row, column = pixel_of((distance - 0.24, -1.0, 3.0 + (0.4 if channel == 0 else -0.4)))
    lit = image[row, column]
    assert lit[channel] > 170
    assert lit[channel] > 1.8 * lit[1 - channel]


def test_a_dark_lamp_does_not_shine():
    red = picture(bare_world(), actors(lights=((12.0, -1.0, 3.0, 240, 40, 30),)))
    row, column = pixel_of((11.85, -1.0, 2.6))
    assert red[row, column].max() < 60


def test_cars_show_red_lamps_behind_and_white_ones_in_front():
    for yaw, red_seen in ((0.0, True), (np.pi, False)):
        box = (10.0, 0.0, CAR[2] / 2 - AXLE_HEIGHT, *CAR, yaw)
        image = picture(bare_world(), actors(("vehicle", box, (60, 60, 64))))
        red = image[..., 0] > 2 * image[..., 1] + 40
        white = image[150:].min(-1) > 130  # below the horizon and its haze
        assert red.any() == red_seen
        assert white.any() != red_seen


def test_glass_is_darker_than_white_paint():
    box = (10.0, 0.0, CAR[2] / 2 - AXLE_HEIGHT, *CAR, np.pi / 2)
    image = picture(bare_world(), actors(("vehicle", box, (245, 245, 245))))
    body, glass = pixel_of((9.05, 0.0, 0.1)), pixel_of((9.2, -0.7, 0.7))
    assert image[body].mean() > image[glass].mean() + 60


def test_a_vehicle_darkens_the_road_beside_it():
    car = ("vehicle", (10.0, 0.0, CAR[2] / 2 - AXLE_HEIGHT, *CAR, 0.0), (200, 200, 200))
    with_car, without = (picture(bare_world(), who) for who in (actors(car), actors()))
    row, column = pixel_of((7.6, 0.0, -0.4))  # 10 cm behind the bumper
    far_row, far_column = pixel_of((12.0, -5.0, -0.4))
    assert with_car[row, column].mean() < 0.7 * without[row, column].mean()
    assert with_car[far_row, far_column].mean() == without[far_row, far_column].mean()


def world_with_patch(x: float, y: float, half: float, ground_class: int):
    """Bare road with a painted square around the ego-frame point (x, y)."""
    world = bare_world()
    ground = world.ground.copy()
    place = to_global(np.array([[x, y, 0.0]]))[0]
    column, row = (int((place[k] - world.ground_origin[k]) / CELL) for k in (0, 1))
    reach = round(half / CELL)
    ground[row - reach : row + reach + 1, column - reach : column + reach + 1] = ground_class
    return replace(world, ground=ground)


def test_paint_lies_where_the_ground_raster_says():
    image = picture(world_with_patch(9.0, 2.0, 1.0, GroundClass.MARKING_WHITE), actors())
    painted, bare = pixel_of((9.0, 2.0, -0.4)), pixel_of((9.0, -2.0, -0.4))
    assert image[painted].mean() > image[bare].mean() + 80
    yellow = picture(world_with_patch(9.0, 2.0, 1.0, GroundClass.MARKING_YELLOW), actors())[painted]
    assert yellow[0] > yellow[2] + 60


def test_beyond_the_raster_lies_grass():
    edge = POSE + np.array([0.0, 0.0, 0.0])
    edge[:2] += SIZE * CELL / 2 * np.array([np.cos(POSE[2]), np.sin(POSE[2])]) * 1.5
    image = picture(bare_world(), actors(), pose=edge)
    assert (image[200:, :, 1] > image[200:, :, 2] + 15).mean() > 0.95


def test_fine_stripes_far_away_do_not_flicker():
    world = bare_world()
    stripes = np.where(np.arange(SIZE) % 2 == 0, GroundClass.ROAD, GroundClass.MARKING_WHITE).astype(np.uint8)
    world = replace(world, ground=np.tile(stripes, (SIZE, 1)))
    along = np.array([POSE[0], POSE[1], 0.0])  # looking along x, across the stripes: one every metre
    steps = [picture(world, actors(), pose=along + np.array([0.13 * k, 0.0, 0.0])) for k in range(4)]
    change = np.mean([np.abs(a - b).mean(-1) for a, b in itertools.pairwise(steps)], axis=0)
    near, far = change[225:, 200:280].mean(), change[145:155, 200:280].mean()
    assert near > 15  # 8 m ahead the stripes are plain to see
    assert far < 0.2 * near  # 50 m ahead they are one grey


@pytest.mark.parametrize("height", [1.5, 3.2])
def test_road_users_stay_inside_their_boxes(height):
    _, who = busy_street(6)
    who = replace(who, lights=np.zeros((0, 6)))
    for k in range(len(who.boxes)):
        box = who.boxes[k : k + 1].copy()
        box[:, 5], box[:, 2] = height, height / 2
        only = replace(who, boxes=box, classes=who.classes[k : k + 1], colours=who.colours[k : k + 1])
        rows = actor_primitives(only, (float(box[0, 0]), float(box[0, 1])))
        turn = np.arctan2(rows["sin"], rows["cos"])
        np.testing.assert_allclose(np.cos(turn - box[0, 6]), 1.0)  # parts share the owner's axes
        cos, sin = np.cos(box[0, 6]), np.sin(box[0, 6])
        along, across = cos * rows["x"] + sin * rows["y"], cos * rows["y"] - sin * rows["x"]
        assert (np.abs(along) + rows["half_l"] <= box[0, 3] / 2 + 1e-9).all()
        assert (np.abs(across) + rows["half_w"] <= box[0, 4] / 2 + 1e-9).all()
        assert (rows["z0"] >= -1e-9).all()
        assert (rows["z1"] <= height + 1e-9).all()
        assert ((rows["shape"] != ELLIPSOID) | (rows["half_w"] > 0)).all()
