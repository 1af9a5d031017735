"""Collisions with replayed objects: no-at-fault collision and time-to-collision.

Both metrics depend on the *first* contact of each (proposal, object) pair only: a contact either costs score, and
repeating it costs no more, or makes the object ignored from then on. So the kernels stop at the first contact.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from wotempo.pdm.areas import EgoAreas
from wotempo.pdm.objects import STOPPED_SPEED, Objects
from wotempo.pdm.states import (
    CENTRE,
    FRONT_LEFT,
    FRONT_RIGHT,
    HALF_LENGTH,
    HALF_WIDTH,
    NUM_STEPS,
    SPEED,
    SPEED_Y,
    STEP_S,
)

TTC_MIN_SPEED = 0.005  # a slower ego has no time-to-collision
TTC_OFFSETS = (0, 3, 6, 9)  # steps ahead
AHEAD, BEHIND = np.deg2rad(30.0), np.deg2rad(150.0)
EGO_RADIUS = float(np.hypot(HALF_LENGTH, HALF_WIDTH))
STATIC_CONTACT = 0.5


def collision_scores(
    objects: Objects, states: np.ndarray, points: np.ndarray, areas: EgoAreas
) -> tuple[np.ndarray, np.ndarray]:
    """No-at-fault collision (N,) in {0, 0.5, 1} and time-to-collision (N,) in {0, 1}.

    states: (N, 41, 11); points: box points (N, 41, 5, 2). Touching boxes collide. The objects reach over at least 41
    steps; time-to-collision is judged at the steps from which they reach 0.9 s ahead: all 41, given 50 steps.
    """
    no_collision, _, time_to_collision, _ = _judged(objects, states, points, areas)
    return no_collision, time_to_collision


def first_contacts(
    objects: Objects, states: np.ndarray, points: np.ndarray, areas: EgoAreas
) -> tuple[np.ndarray, np.ndarray]:
    """What costs each proposal its scores: object and step of the collision (N, 2), and object, step and steps ahead of
    the predicted one (N, 3); -1 where there is none. Arguments as of `collision_scores`."""
    _, hit, _, threat = _judged(objects, states, points, areas)
    return hit, threat


def _judged(
    objects: Objects, states: np.ndarray, points: np.ndarray, areas: EgoAreas
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    speed = np.hypot(states[..., SPEED], states[..., SPEED_Y])
    # Work relative to the ego's start: differences of UTM coordinates lose digits in products.
    origin = points[0, 0, FRONT_LEFT]
    boxes = points[:, :, :4] - origin
    centres = points[:, :, CENTRE] - origin
    pose = np.concatenate((states[..., :2] - origin, states[..., 2:3]), -1)
    arrays = (*_by_object(objects, origin), boxes, centres, pose, speed)
    return (
        *_no_at_fault(*arrays, objects.is_agent, objects.is_stopped, areas.bad),
        *_time_to_collision(*arrays, areas.bad | areas.in_intersection),
    )


def _by_object(objects: Objects, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Corners (O, S, 4, 2), centres (O, S, 2), infinite where absent, swept boxes (O, 4) of low x, low y, high x,
    high y of the centre, and the distance (O,) of centres beyond which no contact is possible."""
    corners = np.ascontiguousarray(np.moveaxis(objects.corners, 1, 0)) - origin
    middle = corners.mean(2)
    reach = np.linalg.norm(corners[:, 0, 0] - middle[:, 0], axis=-1) + EGO_RADIUS + 1e-6
    absent = ~objects.present.T[..., None]
    low = np.where(absent, np.inf, middle).min(1)
    high = np.where(absent, -np.inf, middle).max(1)
    return corners, np.where(absent, np.inf, middle), np.concatenate((low, high), -1), reach


@njit(cache=True)
def _no_at_fault(corners, middles, swept, reach, boxes, centres, pose, speed, is_agent, is_stopped, bad):
    score, found = np.ones(len(boxes)), np.full((len(boxes), 2), -1)
    for n in range(len(boxes)):
        region = _region(centres[n], pose[n], speed[n], 0.0)
        for o in range(len(corners)):
            if _apart(region, swept[o], reach[o]):
                continue
            for t in range(NUM_STEPS):
                dx, dy = centres[n, t, 0] - middles[o, t, 0], centres[n, t, 1] - middles[o, t, 1]
                if dx * dx + dy * dy > reach[o] ** 2 or not _contact(boxes[n, t], 0.0, 0.0, corners[o, t]):
                    continue
                if speed[n, t] <= STOPPED_SPEED:
                    at_fault = False
                elif is_stopped[o]:
                    at_fault = True
                elif _bearing(pose[n, t], middles[o, t]) > BEHIND:
                    at_fault = False
                else:
                    at_fault = bad[n, t] or _front_hit(boxes[n, t], corners[o, t])
                costs = 0.0 if is_agent[o] else STATIC_CONTACT
                if at_fault and costs < score[n]:
                    score[n] = costs
                    found[n, 0], found[n, 1] = o, t
                break
    return score, found


@njit(cache=True)
def _time_to_collision(corners, middles, swept, reach, boxes, centres, pose, speed, contested):
    score, found = np.ones(len(boxes)), np.full((len(boxes), 3), -1)
    for n in range(len(boxes)):
        region = _region(centres[n], pose[n], speed[n], TTC_OFFSETS[-1] * STEP_S)
        for o in range(len(corners)):
            if _apart(region, swept[o], reach[o]):
                continue
            t, offset = _threat(corners[o], middles[o], reach[o], boxes[n], centres[n], pose[n], speed[n], contested[n])
            if t >= 0:
                score[n] = 0.0
                found[n, 0], found[n, 1], found[n, 2] = o, t, offset
                break
    return score, found


@njit(cache=True)
def _threat(corners, middles, reach, boxes, centres, pose, speed, contested):
    """Step, and steps ahead of it, of the first predicted contact of one proposal with one object; -1 where there is
    none, or where it is no infraction."""
    for t in range(min(NUM_STEPS, len(middles) - TTC_OFFSETS[-1])):
        if speed[t] < TTC_MIN_SPEED:
            continue
        vx, vy = np.cos(pose[t, 2]) * speed[t], np.sin(pose[t, 2]) * speed[t]
        for offset in TTC_OFFSETS:
            when, ahead = t + offset, offset * STEP_S
            dx = centres[t, 0] + vx * ahead - middles[when, 0]
            dy = centres[t, 1] + vy * ahead - middles[when, 1]
            if dx * dx + dy * dy > reach**2 or not _contact(boxes[t], vx * ahead, vy * ahead, corners[when]):
                continue
            bearing = _bearing(pose[t], middles[when])
            if bearing < AHEAD or (contested[t] and not bearing > BEHIND):
                return t, offset
            return -1, 0
    return -1, 0


@njit(cache=True)
def _region(centres, pose, speed, ahead_s):
    """Low x, low y, high x, high y of the ego's centre (41, 2) and of where it would be ``ahead_s`` later."""
    low_x = low_y = np.inf
    high_x = high_y = -np.inf
    for t in range(NUM_STEPS):
        for ahead in (0.0, ahead_s):
            x = centres[t, 0] + np.cos(pose[t, 2]) * speed[t] * ahead
            y = centres[t, 1] + np.sin(pose[t, 2]) * speed[t] * ahead
            low_x, low_y = min(low_x, x), min(low_y, y)
            high_x, high_y = max(high_x, x), max(high_y, y)
    return low_x, low_y, high_x, high_y


@njit(cache=True)
def _apart(region, swept, reach):
    """Whether two regions are further apart than ``reach`` in x or in y: most objects never come near."""
    return (
        region[0] - swept[2] > reach
        or region[1] - swept[3] > reach
        or swept[0] - region[2] > reach
        or swept[1] - region[3] > reach
    )


@njit(cache=True)
def _bearing(pose, target):
    """Unsigned angle between the ego's heading and the line from its rear axle to a point, radians."""
    dx, dy = target[0] - pose[0], target[1] - pose[1]
    distance = np.hypot(dx, dy)
    if distance == 0:
        return np.nan  # neither ahead nor behind, as in NAVSIM
    cosine = (np.cos(pose[2]) * dx + np.sin(pose[2]) * dy) / distance
    return np.arccos(min(max(cosine, -1.0), 1.0))


@njit(cache=True)
def _contact(box, shift_x, shift_y, other):
    """Whether an ego box (4, 2), moved by the shift, meets an object's box (4, 2)."""
    return not (_separated(box, other, box, shift_x, shift_y) or _separated(box, other, other, shift_x, shift_y))


@njit(cache=True)
def _separated(box, other, frame, shift_x, shift_y):
    """Whether an edge direction of the rectangle ``frame`` separates the two; touching is not separated."""
    for edge in range(2):
        ax, ay = frame[edge + 1, 0] - frame[edge, 0], frame[edge + 1, 1] - frame[edge, 1]
        low_a = low_b = np.inf
        high_a = high_b = -np.inf
        for k in range(4):
            a = (box[k, 0] + shift_x) * ax + (box[k, 1] + shift_y) * ay
            b = other[k, 0] * ax + other[k, 1] * ay
            low_a, high_a = min(low_a, a), max(high_a, a)
            low_b, high_b = min(low_b, b), max(high_b, b)
        if high_a < low_b or high_b < low_a:
            return True
    return False


@njit(cache=True)
def _front_hit(box, other):
    """Whether the front bumper, the segment between the front corners, meets a rectangle (4, 2)."""
    bumper = np.empty((4, 2))
    bumper[0] = bumper[1] = box[FRONT_LEFT]
    bumper[2] = bumper[3] = box[FRONT_RIGHT]
    # A rectangle without thickness: its own axes are the bumper's normal and direction.
    return not (_separated(bumper, other, box, 0.0, 0.0) or _separated(bumper, other, other, 0.0, 0.0))
