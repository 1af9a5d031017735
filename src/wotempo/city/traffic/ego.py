"""The choice of the vehicle of a drive that becomes the ego.

Every expert of a drive could be recorded. Taken is one whose drive is faultless, and of those rather one who has
something to do: turns, stops, starts, a leader who does not keep his speed.
"""

from __future__ import annotations

import numpy as np
import shapely
from shapely import unary_union

from wotempo.city.streets.network import Network
from wotempo.city.traffic.drive import BEYOND_S, WARM_UP_S, Drive
from wotempo.city.traffic.fleet import EGO_FRONT, EGO_REAR, EGO_WIDTH
from wotempo.city.traffic.overlap import boxes_touch
from wotempo.city.traffic.people import People
from wotempo.city.traffic.simulation import DT
from wotempo.geometry import relative_to

MIN_DISTANCE_SHARE = 2.8  # m/s averaged over the log
MAX_STANDING = 0.5  # share of the log
HARDEST = 3.6  # m/s² of braking that still is comfortable driving
CLEARANCE = 0.1  # metres that the ego keeps to everything


def drivable_area(network: Network) -> shapely.Geometry:
    """What counts as drivable when an ego is scored (car parks aside: nobody drives there)."""
    lanes = [group.polygon for group in network.groups if not group.connector]
    return unary_union([*lanes, *(surface for _, surface in network.intersections)])


def choose_ego(drive: Drive, people: People, area: shapely.Geometry, rng: np.random.Generator) -> int | None:
    """Index into the fleet, or None when no expert's drive is worth recording."""
    first = round(WARM_UP_S / DT)
    taste, scores = rng.uniform(0.3, 1.0, 4), {}  # logs differ in what they are about
    for ego in map(int, np.flatnonzero(drive.fleet.expert)):
        if _eventful(drive, ego, first) and _faultless(drive, people, area, ego, first):
            scores[ego] = float(taste @ _interest(drive, ego, first)) + rng.uniform(0.0, 0.3)
    return max(scores, key=scores.__getitem__) if scores else None


def route_elements(drive: Drive, ego: int, first: int, last: int) -> tuple[int, ...]:
    """Lanes and connectors from where the ego is at step ``first`` to well beyond where it is at ``last``.

    "Beyond": at least BEYOND_S more seconds at its last speed (15 m/s at most) and then two further roadblocks, ending
    with a lane.
    """
    starts, elements = drive.paths.starts[ego], drive.paths.elements[ego]
    s = drive.tracks.s[:, ego]
    reach = s[last] + BEYOND_S * max(float(drive.tracks.speed[last, ego]), 10.0)
    begin = int(np.searchsorted(starts, s[first], "right")) - 1
    end = int(np.searchsorted(starts, reach, "right")) - 1 + 2
    end += end % 2  # lanes are at even places
    count = int((elements >= 0).sum())
    return tuple(int(e) for e in elements[begin : min(end, count - 1) + 1])


def _eventful(drive: Drive, ego: int, first: int) -> bool:
    s, speed = drive.tracks.s[first:, ego], drive.tracks.speed[first:, ego]
    groups = [drive.network.elements[e].group for e in route_elements(drive, ego, first, len(drive.poses) - 1)]
    return bool(
        s[-1] - s[0] > MIN_DISTANCE_SHARE * len(s) * DT
        and (speed < 0.1).mean() < MAX_STANDING
        and len(set(groups)) == len(groups)
    )


def _faultless(drive: Drive, people: People, area: shapely.Geometry, ego: int, first: int) -> bool:
    """Comfortable, on the road with all corners, and touching nobody, at every step."""
    if drive.tracks.acceleration[first:, ego].min() < -HARDEST:
        return False
    return not faulty_steps(drive, people, area, ego, first).any()


def faulty_steps(drive: Drive, people: People, area: shapely.Geometry, ego: int, first: int) -> np.ndarray:
    """(T - first,) bool: steps at which it brakes too hard, leaves the road with a corner or touches somebody."""
    faulty = drive.tracks.acceleration[first:, ego] < -HARDEST
    poses = people.poses[first:]
    box = np.concatenate([poses[:, ego], np.broadcast_to(people.sizes[ego, :2] + 2 * CLEARANCE, (len(poses), 2))], 1)
    box = box[:, [0, 1, 3, 4, 2]]
    gap = np.hypot(*(poses[..., :2] - box[:, None, :2]).transpose(2, 0, 1))
    gap[:, ego] = np.inf
    t, n = np.nonzero(gap < 9.0)
    others = np.concatenate([poses[t, n, :2], people.sizes[n, :2], poses[t, n, 2:]], 1)
    faulty[t[boxes_touch(box[t], others)]] = True
    inside = shapely.contains_xy(area, *ego_corners(drive.poses[first:, ego]).reshape(-1, 2).T)
    return faulty | ~inside.reshape(-1, 4).all(1)


def ego_corners(poses: np.ndarray) -> np.ndarray:
    """Rear-axle poses (T, 3) -> the four corners (T, 4, 2)."""
    forward = np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])], 1)[:, None]
    left = np.stack([-forward[..., 1], forward[..., 0]], -1)
    x = np.array([EGO_FRONT, -EGO_REAR, -EGO_REAR, EGO_FRONT])[:, None]
    y = np.array([1, 1, -1, -1])[:, None] * EGO_WIDTH / 2
    return poses[:, None, :2] + x * forward + y * left


def _interest(drive: Drive, ego: int, first: int) -> np.ndarray:
    """(4,) each about 0 to 1: turning, changing speed, stopping and starting, having somebody in front."""
    speed, heading = drive.tracks.speed[first:, ego], drive.poses[first:, ego, 2]
    turning = np.abs(np.diff(heading)).sum()
    starts_and_stops = int(np.abs(np.diff((speed > 0.5).astype(int))).sum())
    local = relative_to(drive.poses[first:, ego, None], drive.poses[first:])
    in_front = (
        (local[..., 0] > 0) & (local[..., 0] < 35.0) & (np.abs(local[..., 1]) < 2.5) & (np.cos(local[..., 2]) > 0.7)
    )
    return np.array([
        min(turning / 1.8, 1.0), min(speed.std() / 3.0, 1.0), min(starts_and_stops / 2.0, 1.0),
        in_front.any(1).mean(),
    ])  # fmt: skip
