"""Where agents will be: tracks followed over the coming frames, in the axes of now."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stored_scene import make_frame

from wotempo.errors import UserError
from wotempo.navsim.schema import Log, Scene
from wotempo.targets import TargetSpec, agent_future


def scene(drop: int = 9) -> Scene:
    """The ego turns left by 90° and goes 1 m along its old x a frame. ``a`` stands at (10, 5); ``b``, a pedestrian at
    (4, 0), walks 2 m along y a frame and is annotated before frame ``drop``; a cone; a car out of reach."""
    frames = []
    for k in range(9):
        pose = np.array([100.0 + k, 50.0, np.pi / 2 if k else 0.0])
        world = np.array([[110.0, 55.0, 0.3], [104.0, 50.0 + 2 * k, 0.0], [103.0, 50.0, 0.0], [190.0, 50.0, 0.0]])
        cos, sin = np.cos(pose[2]), np.sin(pose[2])
        away = world[:, :2] - pose[:2]
        boxes = np.zeros((4, 7))
        boxes[:, 0], boxes[:, 1] = away @ [cos, sin], away @ [-sin, cos]
        boxes[:, 3:5], boxes[:, 6] = [4.0, 2.0], world[:, 2] - pose[2]
        frame = make_frame(k, pose, boxes, ["vehicle", "pedestrian", "traffic_cone", "vehicle"])
        tracks = ["a", "b" if k < drop else "c", "cone", "far"]
        order = np.roll(np.arange(4), k)  # rows mean nothing, tracks do
        mixed = replace(
            frame.boxes, boxes=frame.boxes.boxes[order], names=frame.boxes.names[order],
            velocity=frame.boxes.velocity[order], track_tokens=[tracks[i] for i in order],
        )  # fmt: skip
        frames.append(replace(frame, boxes=mixed))
    return Scene(Log("log", "split", frames), 0)


def test_tracks_are_followed_in_the_axes_of_now():
    future = agent_future(scene(), TargetSpec())
    assert future.shape == (64, 29)
    assert future.dtype == np.float32
    walker, parked = future[:2]
    np.testing.assert_allclose(walker[:5], [4.0, 0.0, 0.0, 4.0, 2.0], atol=1e-5)
    np.testing.assert_allclose(walker[5:].reshape(8, 3), [[4.0, 2.0 * k, 1.0] for k in range(1, 9)], atol=1e-5)
    np.testing.assert_allclose(parked[[0, 1, 2]], [10.0, 5.0, 0.3], atol=1e-5)
    np.testing.assert_allclose(parked[5:].reshape(8, 3), [[10.0, 5.0, 1.0]] * 8, atol=1e-5)
    assert not future[2:].any()  # things do not move, and the far car is beyond the grid


def test_a_track_that_ends_is_known_no_more():
    walker = agent_future(scene(drop=3), TargetSpec())[0][5:].reshape(8, 3)
    np.testing.assert_array_equal(walker[:, 2], [1, 1, 0, 0, 0, 0, 0, 0])
    assert not walker[2:].any()


def test_a_log_without_annotations_is_refused():
    bare = scene()
    bare.log.frames[3] = make_frame(3, bare.log.frames[3].pose, None)
    with pytest.raises(UserError, match="no annotations"):
        agent_future(bare, TargetSpec())


def test_caches_without_futures_keep_their_name():
    assert TargetSpec().content_hash == "5f2572d0d9209118"
    assert TargetSpec(futures=True).content_hash != TargetSpec().content_hash
