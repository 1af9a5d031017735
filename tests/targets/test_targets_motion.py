"""The velocities that the oracle draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stored_scene import make_frame

from wotempo.errors import UserError
from wotempo.targets import TargetSpec, agent_motion


def test_nearest_movers_with_their_velocities():
    names = ["vehicle", "traffic_cone", "pedestrian", "vehicle", "bicycle"]
    boxes = np.zeros((5, 7))
    boxes[:, 0] = [20.0, 1.0, 5.0, 40.0, -8.0]  # the cone does not move, the fourth is beyond the grid
    frame = make_frame(0, np.zeros(3), boxes, names)
    velocity = np.arange(15.0).reshape(5, 3)
    frame = replace(frame, boxes=replace(frame.boxes, velocity=velocity))
    motion = agent_motion(frame, TargetSpec())
    assert motion.dtype == np.float32
    np.testing.assert_array_equal(motion[:3, 0], [5.0, -8.0, 20.0])
    np.testing.assert_array_equal(motion[:3, 2:4], velocity[[2, 4, 0], :2])
    np.testing.assert_array_equal(motion[:3, 4], 1.0)
    assert not motion[3:].any()


def test_a_log_without_annotations_has_no_oracle():
    with pytest.raises(UserError, match="no annotations"):
        agent_motion(make_frame(0, np.zeros(3), None), TargetSpec())
