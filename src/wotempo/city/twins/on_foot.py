"""Pairs whose changed agent walks: kerb, permanence."""

from __future__ import annotations

import numpy as np

from wotempo.city.sensors.lidar import ORIGIN
from wotempo.city.sensors.rig import MOUNTS
from wotempo.city.sensors.world import CLASS_NAMES, GroundClass
from wotempo.city.streets.curves import Line, direction
from wotempo.city.traffic.fleet import EGO_WIDTH, PAINTS
from wotempo.city.traffic.props import Thing
from wotempo.city.twins.candidate import Candidate
from wotempo.city.twins.motion import moved, steady
from wotempo.city.twins.stage import Moment
from wotempo.geometry import relative_to
from wotempo.navsim.schema import STITCHED_CAMERAS

PEDESTRIAN = CLASS_NAMES.index("pedestrian")
WALK = (1.05, 2.9)  # m/s, up to a run
BESIDE = (GroundClass.WALKWAY, GroundClass.GRASS)
REACH = 14.0  # metres aside of the ego's path within which there is a kerb


def kerb(moment: Moment, rng: np.random.Generator) -> Candidate | None:
    """A pedestrian who has come to the kerb walks on into the road; or stands there."""
    soon = rng.uniform(1.6, 3.6)
    point = moment.path_at(moment.front_at(soon) + rng.uniform(-1.0, 1.0))
    side, slant = float(rng.choice([-1.0, 1.0])), rng.uniform(-0.35, 0.35)
    across = direction(point[2] + side * np.pi / 2 + slant)  # from the ego's path to the kerb
    out = np.arange(1.5, REACH, 0.2)
    beside = np.isin(moment.ground(point[:2] + out[:, None] * across), BESIDE)
    if not beside.any():
        return None
    edge = float(out[beside.argmax()]) + rng.uniform(0.1, 0.6)
    pace = (edge - rng.uniform(0.0, 1.0)) / soon
    if not WALK[0] < pace < WALK[1]:
        return None
    way, at = _straight(point[:2] + edge * across, -across)
    danger, calm = moved(way, at, steady(pace), 0.0), moved(way, at, steady(0.0), 0.0)
    return Candidate("kerb", danger, calm, _figure(rng), PEDESTRIAN, rng.integers(20, 230, 3).astype(np.uint8))


def permanence(moment: Moment, rng: np.random.Generator) -> Candidate | None:
    """Somebody who walks to the ego's way is hidden behind a lorry that stands beside it; or nobody is there."""
    soon = rng.uniform(1.4, 3.4)
    point = moment.path_at(moment.front_at(soon) + rng.uniform(-0.5, 1.5))
    side = float(rng.choice([-1.0, 1.0], p=[0.3, 0.7]))
    outward = direction(point[2] + side * np.pi / 2)
    length, width, _ = lorry = rng.uniform((6.6, 2.2, 2.6), (9.5, 2.5, 3.4))
    near = EGO_WIDTH / 2 + rng.uniform(0.6, 4.0)
    rear = point[:2] - direction(point[2]) * (rng.uniform(0.9, 2.2) + length / 2)  # it stands before the walker's way
    middle = rear + outward * (near + width / 2)
    cover = Thing("vehicle", middle, point[2], lorry, PAINTS[rng.integers(len(PAINTS))])
    pace = rng.uniform(1.3, 3.6)
    start = point[:2] + outward * (pace * soon + rng.uniform(-0.8, 0.8))
    figure = _figure(rng)
    if not _hidden(moment, start, figure, middle, point[2], length, width):
        return None
    way, at = _straight(start, -outward)
    danger = moved(way, at, steady(pace), 0.0)
    colour = rng.integers(20, 230, 3).astype(np.uint8)
    return Candidate("permanence", danger, None, figure, PEDESTRIAN, colour, cover)


def _hidden(
    moment: Moment, place: np.ndarray, figure: np.ndarray, middle: np.ndarray, yaw: float, length: float, width: float
) -> bool:
    """Whether the lorry covers the figure from the LiDAR and from all cameras, seen from above."""
    half = figure[0] / 2 + 0.1
    corners = place + half * np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
    eyes = [ORIGIN[:2], *(np.array(MOUNTS[name][0][:2]) for name in STITCHED_CAMERAS)]
    cos, sin = np.cos(moment.pose[2]), np.sin(moment.pose[2])
    box = np.array([*middle, yaw])
    for x, y in eyes:
        eye = moment.pose[:2] + np.array([cos * x - sin * y, sin * x + cos * y])
        a = relative_to(box, np.array([*eye, 0.0]))[:2]
        for corner in corners:
            b = relative_to(box, np.array([*corner, 0.0]))[:2]
            if not _cuts(a, b, np.array([length, width]) / 2):
                return False
    return True


def _cuts(a: np.ndarray, b: np.ndarray, half: np.ndarray) -> bool:
    """Whether the line from ``a`` to ``b`` runs through the rectangle about the origin."""
    way = b - a
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (-half - a) / way, (half - a) / way
    enter, leave = np.minimum(first, second).max(), np.maximum(first, second).min()
    return bool(enter < leave and enter > 0.0 and leave < 1.0)


def _straight(now: np.ndarray, way: np.ndarray) -> tuple[Line, float]:
    """A line along ``way`` through ``now``, and how many metres along it that is."""
    s = np.arange(-30.0, 40.0)
    return Line(now + s[:, None] * way), 30.0


def _figure(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform((0.5, 0.5, 1.55), (0.75, 0.75, 1.9))
