"""A pair before it is tried: the changed agent's two motions, and the cheap geometric tests of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wotempo.city.sensors.world import SolidKind
from wotempo.city.traffic.overlap import boxes_touch
from wotempo.city.traffic.props import Thing
from wotempo.city.twins.motion import COUNT, HISTORY, NOW, Motion
from wotempo.city.twins.stage import Moment

HORIZON = 40  # steps of the plan's 4 s
CLEAR = 0.3  # metres between bodies that do not count as touching
APART = 1.5  # metres of the agent's places that vehicles must differ by at the first frame
SEEN_FAR, SEEN_ASIDE = 30.0, 26.0  # metres ahead and aside of the ego within which the agent is now


@dataclass(frozen=True)
class Candidate:
    """``dangerous``: the agent gets in the ego's way. ``calm``: it does not; None: it is not there."""

    kind: str
    dangerous: Motion
    calm: Motion | None
    size: np.ndarray  # (3,) of the agent
    agent_class: int  # of CLASS_NAMES
    colour: np.ndarray  # (3,) uint8
    cover: Thing | None = None  # a parked lorry that hides the agent now


def boxes_of(motion: Motion, size: np.ndarray, grow: float = 0.0) -> np.ndarray:
    """(COUNT, 5) x, y, length, width, heading."""
    poses = motion.poses()
    return np.concatenate([poses[:, :2], np.broadcast_to(size[:2] + 2 * grow, (COUNT, 2)), poses[:, 2:]], 1)


def in_sight(moment: Moment, point: np.ndarray) -> bool:
    """Whether a local point (2,) is near enough to the ego now to be seen well."""
    offset = point - moment.pose[:2]
    cos, sin = np.cos(moment.pose[2]), np.sin(moment.pose[2])
    x, y = cos * offset[0] + sin * offset[1], cos * offset[1] - sin * offset[0]
    return bool(-2.0 < x < SEEN_FAR and abs(y) < SEEN_ASIDE)


def plausible(moment: Moment, candidate: Candidate) -> bool:
    """Whether the agent is seen, differs, meets the ego in one member only and hits nobody before."""
    danger = boxes_of(candidate.dangerous, candidate.size)
    if not in_sight(moment, danger[NOW, :2]):
        return False
    ego = moment.ego_boxes
    later = slice(NOW, NOW + HORIZON + 1)
    if not boxes_touch(ego[later], danger[later]).any():
        return False
    motions = [candidate.dangerous]
    if candidate.calm is not None:
        motions.append(candidate.calm)
        calm = boxes_of(candidate.calm, candidate.size, CLEAR)
        if boxes_touch(ego, calm).any():
            return False
        if np.hypot(*(danger[HISTORY[0], :2] - calm[HISTORY[0], :2])) < APART:
            return False
    if not all(_off_solids(moment, boxes[NOW - 15 :: 5]) for boxes in solid_boxes(candidate)):
        return False
    return all(_alone(moment, boxes_of(motion, candidate.size, CLEAR)) for motion in motions)


def solid_boxes(candidate: Candidate) -> list[np.ndarray]:
    """Boxes (…, 5) of the cover, which stands, and of the agent."""
    found = [boxes_of(candidate.dangerous, candidate.size)]
    if candidate.cover is not None:
        size = np.asarray(candidate.cover.size)
        found.append(np.tile([*candidate.cover.point, *size[:2], candidate.cover.yaw], (COUNT, 1)))
    return found


def _off_solids(moment: Moment, boxes: np.ndarray) -> bool:
    """Neither building, tree nor pole stands where the boxes are."""
    world = moment.world
    solids = world.solids[world.solids[:, 2] < 2.0].astype(float)
    places = solids[:, :2] + np.array(world.ground_origin) - moment.district.origin
    near = np.hypot(*(places[None] - boxes[:, None, :2]).transpose(2, 0, 1)) < solids[:, 4:6].max(1) + boxes[0, 2]
    t, n = np.nonzero(near)
    trunk = np.where(solids[:, 10] == SolidKind.TREE, 0.15, 1.0)[:, None]
    rows = np.concatenate([places[n], (solids[:, 4:6] * trunk)[n], solids[n, 6:7]], 1)
    return not boxes_touch(boxes[t], rows).any()


def _alone(moment: Moment, boxes: np.ndarray) -> bool:
    """The agent touches nobody up to now (the ego included), and nothing that stands afterwards."""
    poses, sizes = moment.people.poses[moment.steps], moment.people.sizes
    near = np.hypot(*(poses[..., :2] - boxes[:, None, :2]).transpose(2, 0, 1)) < ((sizes[:, 0] + boxes[0, 2]) / 2 + 1.5)
    still = np.ptp(poses[..., :2], axis=0).max(-1) < 0.05
    near[NOW + 1 :] &= still
    t, n = np.nonzero(near)
    others = np.concatenate([poses[t, n, :2], sizes[n, :2], poses[t, n, 2:]], 1)
    return not boxes_touch(boxes[t], others).any()
