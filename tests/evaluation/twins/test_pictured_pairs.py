"""Which pair is drawn, and where its changed agents are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from wotempo.errors import UserError
from wotempo.evaluation.twins.pictured import _boxes, _typical
from wotempo.geometry import compose, relative_to
from wotempo.navsim.schema import Boxes


@dataclass
class Told:
    pose: np.ndarray
    boxes: Boxes | None


@dataclass
class Window:
    history: list
    future: list = field(default_factory=list)

    @property
    def current(self) -> Told:
        return self.history[-1]


def told(pose: np.ndarray, agent: np.ndarray) -> Told:
    """A frame of an ego at ``pose`` in which the agent "a" is at the global pose ``agent``, and "b" elsewhere."""
    x, y, yaw = relative_to(pose, agent)
    boxes = np.array([[x, y, 0, 4.0, 2.0, 1.5, yaw], [9.0, 9.0, 0, 1, 1, 1, 0]])
    return Told(pose, Boxes(boxes, np.array(["vehicle", "vehicle"]), np.zeros((2, 3)), ["x", "y"], ["a", "b"]))


def test_boxes_stand_where_they_are_seen_from_now():
    egos = np.array([[100.0, 50.0, 0.3], [103.0, 51.0, 0.5], [105.0, 52.0, 0.9]])
    agents = np.array([[120.0, 60.0, 1.0], [121.0, 61.0, 1.2], [122.0, 62.5, 1.4]])
    frames = [told(ego, agent) for ego, agent in zip(egos, agents, strict=True)]
    found = _boxes(Window([None, *frames[:2]], frames[2:]), ("a",))
    assert [seconds for seconds, _ in found] == [-0.5, 0.0, 0.5]
    for (_, corners), agent in zip(found, agents, strict=True):
        seen = relative_to(egos[1], agent)
        np.testing.assert_allclose(corners.mean(0), seen[:2], atol=1e-9)
        front = compose(seen, np.array([2.0, 1.0, 0.0]))[:2]
        assert np.linalg.norm(corners - front, axis=1).min() < 1e-9


def test_the_typical_pair_is_told_apart_and_in_the_middle():
    own = pd.DataFrame({"pdms": [0.9, 0.8, 1.0, 0.7], "swapped": [0.5, 0.5, 0.5, 0.7]}, list("abcd"))
    other = pd.DataFrame({"pdms": [0.8, 0.2, 0.6, 0.0]}, list("abcd"))  # ahead by 0.1, 0.6, 0.4; d is not told apart
    assert _typical(own, other) == "c"
    with pytest.raises(UserError, match="tells no pair apart"):
        _typical(own.assign(swapped=1.0), other)
