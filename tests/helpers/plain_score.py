"""The v1.1 score written down plainly, step by step and object by object: slow, and what the fast one is held against.

Shares with the package only what a scene is (`SceneContext`), the ego's box, and the reference poses.
"""

from __future__ import annotations

import numpy as np
import shapely
from scipy.signal import savgol_filter

from wotempo.pdm.areas import AreaKind
from wotempo.pdm.context import SceneContext
from wotempo.pdm.reference import reference_poses
from wotempo.pdm.states import WHEEL_BASE, box_points

DT, STEPS, LOOK = 0.1, 41, 10


def wrap(angle):
    return np.arctan2(np.sin(angle), np.cos(angle))


def plain_simulate(context: SceneContext, poses: np.ndarray) -> np.ndarray:
    """(N, K, 3) -> (N, 41, 11)."""
    reference = reference_poses(context.ego, poses, 0.5, context.start_us)
    return np.stack([_drive(context.ego, row) for row in reference])


def _profiles(reference):
    m = len(reference) - 1
    step, heading = np.diff(reference[:, :2], axis=0), reference[:-1, 2]
    integrate = np.tril(np.ones((m, m))) * DT
    integrate[:, 0] = 1
    design = np.concatenate([DT * np.cos(heading)[:, None] * integrate, DT * np.sin(heading)[:, None] * integrate])
    penalty = np.zeros((m - 2, m))
    penalty[:, 1:-1] -= np.eye(m - 2)
    penalty[-1, -1] = 1
    speed = integrate @ np.linalg.pinv(design.T @ design + 1e-4 * penalty.T @ penalty) @ design.T @ step.T.ravel()

    design = DT * speed[:, None] * integrate
    penalty = np.diag([1e-10, *[1e-2] * (m - 1)])
    turn = wrap(np.diff(reference[:, 2]))
    curvature = integrate @ np.linalg.pinv(design.T @ design + penalty, rcond=1e-18) @ design.T @ turn
    return speed, curvature


def _drive(ego, reference):
    speed, curvature = _profiles(reference)
    states = [np.array(ego)]
    for t in range(STEPS - 1):
        x, y, heading, v, _, accel, _, steer, _, yaw_rate, _ = states[-1]
        ahead = min(t + LOOK, len(speed) - 1)
        if speed[ahead] <= 0.2 and v <= 0.2:
            command, rate = -0.5 * (v - speed[ahead]), 0.0
        else:
            command = -10 / 11 * (v - speed[ahead])
            rate = _steer(t, ahead, reference[t], x, y, heading, v, steer, command, curvature)
        accel = accel + DT / (DT + 0.2) * (command - accel)
        new_steer = steer + DT / (DT + 0.05) * DT * rate
        new_v = v + DT * accel
        new_rate = new_v * np.tan(np.clip(new_steer, -np.pi / 3, np.pi / 3)) / WHEEL_BASE
        states.append(np.array([
            x + DT * v * np.cos(heading), y + DT * v * np.sin(heading),
            wrap(heading + DT * v * np.tan(steer) / WHEEL_BASE),
            new_v, 0, accel, 0, np.clip(new_steer, -np.pi / 3, np.pi / 3), (new_steer - steer) / DT, new_rate,
            (new_rate - yaw_rate) / DT,
        ]))  # fmt: skip
    return np.stack(states)


def _steer(t, ahead, pose, x, y, heading, v, steer, command, curvature):
    error = np.array([
        -(x - pose[0]) * np.sin(pose[2]) + (y - pose[1]) * np.cos(pose[2]), wrap(heading - pose[2]), steer,
    ])  # fmt: skip
    response = np.zeros(3)
    for k in range(LOOK):
        w = v + k * DT * command
        carry = np.array([[1, DT * w, 0], [0, 1, DT * w / WHEEL_BASE], [0, 0, 1]])
        error = carry @ error - [0, DT * w * curvature[min(t + k, ahead)], 0]
        response = carry @ response + [0, 0, DT]
    error[1:] = wrap(error[1:])
    weight = np.diag([1.0, 10.0, 0.0])
    return -(response @ weight @ error) / (response @ weight @ response + 1)


def plain_score(context: SceneContext, states: np.ndarray) -> dict[str, np.ndarray]:
    """(N, 41, 11) -> the sub-scores (N,) under the names of `SubScores`."""
    points = box_points(states)
    area = _areas(context, points, states)
    trees = [_ObjectsAt(context.objects, step) for step in range(51)]
    nc = np.array([_collision(context.objects, trees, *row) for row in zip(states, points, area["bad"], strict=True)])
    contested = area["bad"] | area["crossing"]
    ttc = np.array([_threat(trees, *row) for row in zip(states, points, contested, strict=True)])
    dac = 1.0 - area["off"].any(1)
    comfort = np.array([_comfortable(row) for row in states], float)
    line = shapely.linestrings(context.centreline[:, :2])
    ends = shapely.line_locate_point(line, shapely.points(points[:, [0, -1], 4]))
    progress = np.maximum(ends[:, 1] - ends[:, 0], 0)
    masked = progress * nc * dac
    ep = masked / masked.max() if masked.max() > 5 else (nc * dac > 0).astype(float)
    return {
        "nc": nc, "dac": dac, "ep": ep, "ttc": ttc, "comfort": comfort, "progress_raw": progress,
        "ddc": np.array([_direction(*row) for row in zip(points[:, :, 4], area["oncoming"], strict=True)]),
        "score": nc * dac * (5 * ep + 5 * ttc + 2 * comfort) / 12,
    }  # fmt: skip


def _areas(context, points, states):
    kind, route = context.areas.kind, context.areas.on_route
    inside = np.stack([shapely.contains_xy(p, points[..., 0], points[..., 1]) for p in context.areas.polygons])
    lane = (kind == AreaKind.LANE) | (kind == AreaKind.LANE_CONNECTOR)
    corners = inside[..., :4]
    several = (corners[lane].any(-1).sum(0) > 1) & ~corners[lane].all(-1).any(0)
    off = ~corners[~lane].any(0).all(-1)
    axle = [shapely.contains_xy(p, states[..., 0], states[..., 1]) for p in context.areas.polygons]
    crossing = np.stack(axle)[kind == AreaKind.INTERSECTION].any(0)
    return {"bad": several | off, "off": off, "oncoming": ~inside[lane & route, ..., 4].any(0), "crossing": crossing}


class _ObjectsAt:
    """The objects of one step, to be asked which of them a shape touches."""

    def __init__(self, objects, step):
        self.ids = np.flatnonzero(objects.present[step])
        self.shapes = shapely.polygons(objects.corners[step, self.ids])
        self.tree = shapely.STRtree(self.shapes)

    def touching(self, shape):
        return [(self.ids[k], self.shapes[k]) for k in sorted(self.tree.query(shape, "intersects"))]


def _angle(state, shape):
    to = shapely.get_coordinates(shapely.centroid(shape))[0] - state[:2]
    return np.degrees(abs(wrap(np.arctan2(to[1], to[0]) - state[2])))


def _collision(objects, trees, states, points, bad):
    score, ignored = 1.0, set()
    for t, (state, box) in enumerate(zip(states, points, strict=True)):
        for token, shape in trees[t].touching(shapely.Polygon(box[:4])):
            if token in ignored:
                continue
            ignored.add(token)
            if np.hypot(state[3], state[4]) <= 0.05:
                fault = False
            elif objects.is_stopped[token]:
                fault = True
            elif _angle(state, shape) > 150:
                fault = False
            else:
                fault = bool(bad[t]) or bool(shapely.intersects(shapely.LineString(box[[0, 3]]), shape))
            if fault:
                score = min(score, 0.0 if objects.is_agent[token] else 0.5)
    return score


def _threat(trees, states, points, contested):
    ignored = set()
    for t, (state, box) in enumerate(zip(states, points, strict=True)):
        speed = np.hypot(state[3], state[4])
        if speed < 0.005:
            continue
        for offset in (0, 3, 6, 9):
            shift = offset * DT * speed * np.array([np.cos(state[2]), np.sin(state[2])])
            for token, shape in trees[t + offset].touching(shapely.Polygon(box[:4] + shift)):
                if token in ignored:
                    continue
                angle = _angle(state, shape)
                if angle < 30 or (contested[t] and not angle > 150):
                    return 0.0
                ignored.add(token)
    return 1.0


def _comfortable(states):
    def smooth(signal, window, order=2, derivative=0):
        return np.round(savgol_filter(signal, window, order, deriv=derivative, delta=DT), 8)

    def within(signal, low, high):
        return ((signal > low) & (signal < high)).all()

    along, across, heading = states[:, 5], states[:, 6], np.unwrap(states[:, 2])
    return (
        within(smooth(along, 41), -4.05, 2.40)
        and within(smooth(across, 41), -4.89, 4.89)
        and within(smooth(smooth(np.hypot(along, across), 8), 41, derivative=1), -8.37, 8.37)
        and within(smooth(smooth(along, 8), 41, derivative=1), -4.13, 4.13)
        and within(smooth(heading, 5, 3, 2), -1.93, 1.93)
        and within(smooth(heading, 5, 2, 1), -0.95, 0.95)
    )


def _direction(centres, oncoming):
    step = [0.0, *(np.linalg.norm(np.diff(centres, axis=0), axis=1) * oncoming[1:])]
    worst = max(sum(step[max(t - 10, 0) : t + 1]) for t in range(len(step)))
    return 1.0 if worst < 2 else 0.5 if worst < 6 else 0.0
