"""Collisions with replayed objects: no-at-fault collision and time-to-collision (pdm_score.md §6).

Both metrics depend on the *first* contact of each (proposal, object) pair only: a contact either costs score, and
repeating it costs no more, or makes the object ignored from then on. So the kernels stop at the first contact.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from wotempo.pdm.areas import EgoAreas
from wotempo.pdm.objects import STOPPED_SPEED, Objects
from wotempo.pdm.states import FRONT_LEFT, FRONT_RIGHT, HALF_LENGTH, HALF_WIDTH, NUM_STEPS, SPEED, SPEED_Y, STEP_S

TTC_MIN_SPEED = 0.005  # a slower ego has no time-to-collision
TTC_OFFSETS = (0, 3, 6, 9)  # steps ahead
AHEAD, BEHIND = np.deg2rad(30.0), np.deg2rad(150.0)
EGO_RADIUS = float(np.hypot(HALF_LENGTH, HALF_WIDTH))
STATIC_CONTACT = 0.5


def collision_scores(
    objects: Objects, states: np.ndarray, points: np.ndarray, areas: EgoAreas
) -> tuple[np.ndarray, np.ndarray]:
    """No-at-fault collision (N,) in {0, 0.5, 1} and time-to-collision (N,) in {0, 1}.

    states: (N, 41, 11); points: box points (N, 41, 5, 2). Touching boxes collide.
    """
    speed = np.hypot(states[..., SPEED], states[..., SPEED_Y])
    # Work relative to the ego's start: differences of UTM coordinates lose digits in products.
    origin = points[0, 0, FRONT_LEFT]
    boxes = points[:, :, :4] - origin
    pose = np.concatenate((states[..., :2] - origin, states[..., 2:3]), -1)
    corners = objects.corners - origin
    centres = corners.mean(2)
    radii = np.hypot(*np.moveaxis(corners[:, :, 0] - centres, -1, 0)) + EGO_RADIUS
    arguments = (corners, centres, radii, objects.present)
    no_collision = _no_at_fault(*arguments, objects.is_agent, objects.is_stopped, boxes, pose, speed, areas.bad)
    contested = areas.bad | areas.in_intersection
    return no_collision, _time_to_collision(*arguments, boxes, pose, speed, contested)


@njit(cache=True)
def _no_at_fault(corners, centres, radii, present, is_agent, is_stopped, boxes, pose, speed, bad):
    score = np.ones(len(boxes))
    for n in range(len(boxes)):
        for o in range(len(is_agent)):
            for t in range(NUM_STEPS):
                if not present[t, o]:
                    continue
                if not _contact(boxes[n, t], 0.0, 0.0, corners[t, o], centres[t, o], radii[t, o]):
                    continue
                if speed[n, t] <= STOPPED_SPEED:
                    at_fault = False
                elif is_stopped[o]:
                    at_fault = True
                elif _bearing(pose[n, t], centres[t, o]) > BEHIND:
                    at_fault = False
                else:
                    at_fault = bad[n, t] or _front_hit(boxes[n, t], corners[t, o])
                if at_fault:
                    score[n] = min(score[n], 0.0 if is_agent[o] else STATIC_CONTACT)
                break
    return score


@njit(cache=True)
def _time_to_collision(corners, centres, radii, present, boxes, pose, speed, contested):
    score = np.ones(len(boxes))
    for n in range(len(boxes)):
        for o in range(corners.shape[1]):
            if _threatens(n, o, corners, centres, radii, present, boxes, pose, speed, contested):
                score[n] = 0.0
                break
    return score


@njit(cache=True)
def _threatens(n, o, corners, centres, radii, present, boxes, pose, speed, contested):
    """Whether the first predicted contact of proposal n with object o is an infraction."""
    for t in range(NUM_STEPS):
        if speed[n, t] < TTC_MIN_SPEED:
            continue
        vx, vy = np.cos(pose[n, t, 2]) * speed[n, t], np.sin(pose[n, t, 2]) * speed[n, t]
        for offset in TTC_OFFSETS:
            when, ahead = t + offset, offset * STEP_S
            if not present[when, o]:
                continue
            if _contact(boxes[n, t], vx * ahead, vy * ahead, corners[when, o], centres[when, o], radii[when, o]):
                bearing = _bearing(pose[n, t], centres[when, o])
                return bearing < AHEAD or (contested[n, t] and not bearing > BEHIND)
    return False


@njit(cache=True)
def _bearing(pose, target):
    """Unsigned angle between the ego's heading and the line from its rear axle to a point, radians."""
    dx, dy = target[0] - pose[0], target[1] - pose[1]
    cosine = (np.cos(pose[2]) * dx + np.sin(pose[2]) * dy) / np.hypot(dx, dy)
    return np.arccos(min(max(cosine, -1.0), 1.0))


@njit(cache=True)
def _contact(box, shift_x, shift_y, other, centre, reach):
    """Whether an ego box (4, 2), moved by the shift, meets an object's box (4, 2); ``reach``: sum of both radii."""
    dx = 0.5 * (box[0, 0] + box[2, 0]) + shift_x - centre[0]
    dy = 0.5 * (box[0, 1] + box[2, 1]) + shift_y - centre[1]
    if dx * dx + dy * dy > (reach + 1e-6) ** 2:
        return False
    return not (
        _separated(box, other, box, shift_x, shift_y) or _separated(box, other, other, shift_x, shift_y)
    )


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
