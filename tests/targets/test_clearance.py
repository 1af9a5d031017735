"""The gap to agents that stand still or keep their velocity, in cases that a pencil solves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stored_scene import make_frame

from wotempo.targets.clearance import FAR, clearance
from wotempo.targets.spec import EGO_BOX

EGO = EGO_BOX["fixed"]
STRAIGHT = np.zeros((1, 8, 3))
STRAIGHT[0, :, 0] = np.arange(1, 9) * 1.0  # 2 m/s ahead: 8 m after 4 s
TURNED = STRAIGHT[..., [1, 0, 2]] + [0.0, 0.0, np.pi / 2]  # the same to the left, looking left


def frame_with(x, y, yaw, velocity, name="vehicle"):
    boxes = np.array([[x, y, 0.0, 4.0, 2.0, 1.5, yaw]])
    frame = make_frame(0, np.zeros(3), boxes, [name])
    return replace(frame, boxes=replace(frame.boxes, velocity=np.array([[*velocity, 0.0]])))


def test_standing_and_moving_agents_ahead():
    frame = frame_with(20.0, 0.0, 0.0, (-1.0, 0.0))
    front = 8.0 + EGO.offset + EGO.length / 2
    assert clearance(frame, STRAIGHT, moving=False) == pytest.approx([20.0 - 2.0 - front])
    assert clearance(frame, STRAIGHT, moving=True) == pytest.approx([20.0 - 4.0 - 2.0 - front])
    across = frame_with(20.0, 0.0, np.pi / 2, (0.0, 0.0))  # its width lies along the way
    assert clearance(across, STRAIGHT, moving=False) == pytest.approx([20.0 - 1.0 - front])


def test_the_ego_turns_with_its_heading():
    beside = frame_with(0.0, 20.0, np.pi / 2, (0.0, 0.0))
    front = 8.0 + EGO.offset + EGO.length / 2
    assert clearance(beside, np.concatenate((STRAIGHT, TURNED)), moving=False) == pytest.approx(
        [20.0 - 2.0 - EGO.width / 2, 20.0 - 2.0 - front]
    )


def test_an_agent_that_crosses_is_met_only_if_it_moves():
    frame = frame_with(6.0, -8.0, np.pi / 2, (0.0, 4.0))
    assert clearance(frame, STRAIGHT, moving=False)[0] > 0
    assert clearance(frame, STRAIGHT, moving=True)[0] < 0


def test_only_agents_within_reach_count():
    assert clearance(frame_with(FAR + 1, 0.0, 0.0, (0, 0)), STRAIGHT, moving=False) == FAR
    assert clearance(frame_with(8.0, 0.0, 0.0, (0, 0), "traffic_cone"), STRAIGHT, moving=False) == FAR
