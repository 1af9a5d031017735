"""What kind of scene a scene is: at the thresholds, in axes that are not the map's."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from wotempo.geometry import compose
from wotempo.navsim.schema import Boxes
from wotempo.report.situation import situations

START = np.array([1000.0, -500.0, 2.1])
TIMES = np.arange(0, 9) * 0.5


def boxes(pose, agents):
    """agents: (name, x, y, yaw) in the axes of the first frame, as seen from ``pose`` of those axes."""
    from wotempo.geometry import relative_to

    places = [relative_to(pose, np.array([x, y, yaw])) for _, x, y, yaw in agents]
    table = np.array([[x, y, 0, 4, 2, 1.5, yaw] for x, y, yaw in places]).reshape(-1, 7)
    names = np.array([name for name, *_ in agents], dtype=str)
    tracks = [str(i) for i in range(len(agents))]
    return Boxes(table, names, np.zeros((len(agents), 3)), tracks, tracks)


def scene(path, agents=()):
    """path: time -> (x, y, heading) of the ego; agents: (name, time -> (x, y, yaw))."""
    frames = []
    for t in TIMES:
        pose = np.array(path(t), float)
        seen = boxes(pose, [(name, *where(t)) for name, where in agents])
        frames.append(SimpleNamespace(pose=compose(START, pose), boxes=seen))
    return SimpleNamespace(token="t", log=SimpleNamespace(name="l"), current=frames[0], future=frames[1:])


def straight(speed):
    return lambda t: (speed * t, 0.0, 0.0)


def still(x, y, yaw=0.0):
    return lambda t: (x, y, yaw)


def kinds(*args):
    return {name for name, is_one in situations(scene(*args)).items() if is_one}


@pytest.mark.parametrize(("degrees", "expected"), [(19.0, set()), (21.0, {"turn"}), (-21.0, {"turn"})])
def test_turn(degrees, expected):
    assert kinds(lambda t: (5 * t, 0.0, np.deg2rad(degrees) * t / 4)) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (straight(0.0), {"stop"}),
        (straight(1.2), set()),
        (lambda t: (8 * t - t * t, 0, 0), {"stop"}),  # brakes to 0.5 m/s
        (lambda t: (0.4 * max(t - 3.5, 0.0) * 6, 0, 0), {"stop"}),  # starts at the very end
    ],
)
def test_stop(path, expected):
    assert kinds(path) == expected


def test_crossing():
    assert kinds(straight(5), [("pedestrian", lambda t: (12.0, 4 - 2 * t, 0))]) == {"crossing"}
    assert kinds(straight(0), [("bicycle", lambda t: (8.0, 4 - 2 * t, 0))]) == {"crossing", "stop"}  # it waits
    assert kinds(straight(5), [("pedestrian", lambda t: (12.0, 8 - 1 * t, 0))]) == set()  # comes no further
    assert kinds(straight(5), [("pedestrian", still(12.0, 0.0))]) == set()
    assert kinds(straight(5), [("vehicle", lambda t: (10 + 6 * t, 1.9 - 0.9 * t, 0))]) == set()  # changes lanes
    assert kinds(straight(5), [("traffic_cone", lambda t: (12.0, 4 - 2 * t, 0))]) == set()


def test_following():
    assert kinds(straight(5), [("vehicle", still(20, 1.0))]) == {"following"}
    for other in (still(30, 0), still(20, 2.0), still(-8, 0), still(20, 0, np.pi)):
        assert kinds(straight(5), [("vehicle", other)]) == set()
    assert kinds(straight(5), [("pedestrian", still(20, 0))]) == set()
