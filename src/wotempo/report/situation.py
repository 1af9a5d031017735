"""The kinds of a scene, from its log alone: what the expert does, and which agents are in its way. A scene may be of
several kinds, or of none."""

from __future__ import annotations

import numpy as np
from shapely import LineString, Point

from wotempo.geometry import compose, relative_to
from wotempo.navsim.schema import AGENT_NAMES, FRAME_PERIOD_S, Scene
from wotempo.pdm.agents import human_poses

SITUATIONS = ("turn", "stop", "crossing", "following")
PREFIX = "situation_"  # of the columns of test.parquet

TURN = np.deg2rad(20.0)  # heading gained in 4 s
STANDING_M_S, STANDING_M = 1.0, 2.0  # the expert's last speed; or all that it drives in 4 s
AHEAD_M = 10.0  # the expert's path is extended straight that far: braking for an agent, it ends before the crossing
MOVES_M = 1.0  # an agent that moves less in 4 s crosses nothing
ACROSS = np.deg2rad(30.0)  # the least angle between an agent's way and the expert's
LEAD_M, LANE_M = 25.0, 1.5  # how far ahead on the path, and how far from it, the centre of a vehicle that leads


def situations(scene: Scene) -> dict[str, bool]:
    """``SITUATIONS`` -> whether the scene is one. UserError where the log holds no 4 s of future.

    turn: the expert's heading changes by more than 20° in 4 s. stop: it ends slower than 1 m/s, or drives less than
    2 m. crossing: within 4 s an agent's way cuts the expert's path (gone on straight for 10 m) at 30° or more.
    following: a vehicle with the expert's heading (± 30°) stands or drives on that path, at most 25 m ahead.
    """
    expert = np.concatenate((np.zeros((1, 3)), human_poses(scene)))
    steps = np.linalg.norm(np.diff(expert[:, :2], axis=0), axis=1)
    path = _path(expert, AHEAD_M)
    return {
        "turn": bool(abs(expert[-1, 2]) > TURN),
        "stop": bool(steps[-1] / FRAME_PERIOD_S < STANDING_M_S or steps.sum() < STANDING_M),
        "crossing": any(_crosses(track, path) for track in _tracks(scene)),
        "following": _follows(scene, _path(expert, LEAD_M)),
    }


def _path(poses: np.ndarray, ahead: float) -> LineString:
    """Through the poses (P, 3), and straight on."""
    x, y, heading = poses[-1]
    beyond = [[x + ahead * np.cos(heading), y + ahead * np.sin(heading)]]
    return LineString(np.concatenate((poses[:, :2], beyond)))


def _tracks(scene: Scene) -> list[np.ndarray]:
    """(P, 2) ways of the agents that move, from now on for 4 s, in the current axes."""
    points: dict[str, list[np.ndarray]] = {}
    for frame in (scene.current, *scene.future[:8]):
        if frame.boxes is None:
            continue
        here = relative_to(scene.current.pose, frame.pose)
        moved = compose(here, frame.boxes.boxes[:, [0, 1, 6]])[:, :2]
        for name, track, point in zip(frame.boxes.names, frame.boxes.track_tokens, moved, strict=True):
            if name in AGENT_NAMES:
                points.setdefault(track, []).append(point)
    ways = (np.stack(way) for way in points.values())
    return [way for way in ways if np.linalg.norm(way[-1] - way[0]) >= MOVES_M]


def _crosses(track: np.ndarray, path: LineString) -> bool:
    meeting = LineString(track).intersection(path)
    if meeting.is_empty:
        return False
    at = path.project(meeting.centroid)
    way = track[-1] - track[0]
    angle = _direction(path, at) - np.arctan2(way[1], way[0])
    return bool(abs(np.sin(angle)) >= np.sin(ACROSS))


def _follows(scene: Scene, path: LineString) -> bool:
    boxes = scene.current.boxes
    if boxes is None:
        return False
    for box in boxes.boxes[boxes.names == "vehicle"]:
        centre = Point(box[:2])
        at = path.project(centre)
        same_way = np.cos(_direction(path, at) - box[6]) >= np.cos(ACROSS)
        if 0.0 < at <= LEAD_M and path.distance(centre) <= LANE_M and same_way:
            return True
    return False


def _direction(path: LineString, at: float) -> float:
    """Heading of the path around ``at`` m from its beginning."""
    a, b = path.interpolate(max(at - 0.5, 0.0)), path.interpolate(min(at + 0.5, path.length))
    return float(np.arctan2(b.y - a.y, b.x - a.x))
