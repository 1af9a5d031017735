"""Replay of annotated tracks at 10 Hz."""

from __future__ import annotations

import numpy as np
import pytest
from pdm_builders import make_frame

from wotempo.pdm.objects import replay_objects

NAN = np.nan


def _replay(x: list[float], heading: list[float] | None = None, **columns):
    """One track; x of its centre in 11 frames, NaN where it is not annotated. The ego stands at the origin."""
    frames = []
    for k in range(11):
        if np.isnan(x[k]):
            frames.append(make_frame(k))
            continue
        frames.append(
            make_frame(
                k,
                boxes=[[x[k], 2, 0, columns.get("length", [4] * 11)[k], 2, 1.5, heading[k] if heading else 0]],
                names=[columns.get("names", ["vehicle"] * 11)[k]],
                velocity=np.array([[columns.get("speed", [1.0] * 11)[k], 0, 0]]),
                tracks=["a"],
            )
        )
    return replay_objects(frames)


def _centres(objects) -> np.ndarray:
    return objects.corners[:, 0].mean(1)


def test_positions_are_interpolated_between_frames() -> None:
    objects = _replay([10 + 2 * k for k in range(11)])
    np.testing.assert_allclose(_centres(objects)[:, 0], 10 + 0.4 * np.arange(51))
    assert objects.present.all()
    np.testing.assert_allclose(objects.corners[0, 0], [[12, 3], [8, 3], [8, 1], [12, 1]])


def test_track_of_one_frame_stands_in_all_steps() -> None:
    objects = _replay([NAN] * 6 + [7.0] + [NAN] * 4)
    assert objects.present.all()
    np.testing.assert_allclose(_centres(objects), np.tile([7.0, 2.0], (51, 1)))


def test_absent_before_first_and_after_last_sighting() -> None:
    objects = _replay([NAN, NAN, 0.0, 1.0, 2.0, *[NAN] * 6])
    np.testing.assert_array_equal(np.flatnonzero(objects.present[:, 0]), np.arange(10, 21))


def test_gap_is_bridged() -> None:
    objects = _replay([0.0, NAN, NAN, 3.0, *[NAN] * 7])
    np.testing.assert_array_equal(np.flatnonzero(objects.present[:, 0]), np.arange(16))
    np.testing.assert_allclose(_centres(objects)[:16, 0], 0.2 * np.arange(16))


@pytest.mark.parametrize("gap", [False, True])
def test_heading_takes_the_short_way_across_pi(gap: bool) -> None:
    heading = [np.pi - 0.2, np.pi - 0.1, -np.pi + 0.1, -np.pi + 0.2, *[0.0] * 7]
    x = [0.0, NAN if gap else 0.0, NAN if gap else 0.0, 0.0, *[NAN] * 7]
    corners = _replay(x, heading).corners[:16, 0]
    forward = corners[:, 0] - corners[:, 1]
    assert (forward[:, 0] < 0).all(), "it never points forward on its way round"


def test_size_class_and_standstill_come_from_the_first_frame() -> None:
    objects = _replay(
        [0.0] * 11, length=[4.0] + [9.0] * 10, names=["vehicle"] + ["barrier"] * 10, speed=[0.05] + [3.0] * 10
    )
    assert np.ptp(objects.corners[:, 0, :, 0], axis=1) == pytest.approx(4.0)
    assert objects.is_agent.all()
    assert objects.is_stopped.all(), "0.05 m/s is standing"
    assert not _replay([0.0] * 11, speed=[0.0501] * 11).is_stopped.any()


def test_static_classes_are_always_stopped() -> None:
    objects = _replay([0.0] * 11, names=["traffic_cone"] * 11, speed=[3.0] * 11)
    assert objects.is_stopped.all()
    assert not objects.is_agent.any()


def test_boxes_follow_the_ego_of_their_own_frame() -> None:
    frames = []
    for k in range(11):
        pose = (664000 + k, 3996000, np.pi / 2)
        frames.append(make_frame(k, pose, np.array([[5, 0, 0, 4, 2, 1, 0.0]]), ["vehicle"], None, ["a"]))
    centres = replay_objects(frames).corners[:, 0].mean(1)
    np.testing.assert_allclose(centres[::5], np.stack([664000 + np.arange(11.0), np.full(11, 3996005.0)], -1))


def test_no_objects_at_all() -> None:
    objects = replay_objects([make_frame(k) for k in range(11)])
    assert objects.corners.shape == (51, 0, 4, 2)


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="11 frames"):
        replay_objects([make_frame(k) for k in range(10)])
