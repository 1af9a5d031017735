"""The forecast that the planner drives by: the boxes of the current frame, moving on straight at constant speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from wotempo.errors import UserError
from wotempo.geometry.pose import compose, wrap_angle
from wotempo.navsim.schema import AGENT_NAMES, STATIC_NAMES, Frame
from wotempo.pdm.objects import NUM_OBJECT_STEPS, STOPPED_SPEED, Objects, box_corners
from wotempo.pdm.states import CENTRE, STEP_S, box_points, centre_of

RADIUS = 100.0  # metres between centres
MAX_COUNTS = ((STATIC_NAMES, 50), (("vehicle",), 50), (("pedestrian",), 25), (("bicycle",), 10))  # nearest of each
STEPS_PER_MAP = 2
NUM_MAPS = NUM_OBJECT_STEPS // STEPS_PER_MAP + 1  # t = 0, 0.2 … 5.0 s; a step between two maps sees the earlier one


@dataclass(frozen=True)
class Forecast:
    """P obstacles at 5 Hz: O boxes, then the connectors whose light is red. Global frame, metres, m/s."""

    corners: np.ndarray  # (26, O, 4, 2) of the boxes, in the order of box_corners
    polygons: np.ndarray  # (26, P) shapely
    speed: np.ndarray  # (P,) ≥ 0, 0 for static things and lights
    heading: np.ndarray  # (P,) where the box points, not where it moves; 0 for lights
    is_agent: np.ndarray  # (O,) bool
    ignored: np.ndarray  # (P,) bool: overlaps the ego at t = 0, or is a light on whose connector the whole ego stands

    @classmethod
    def build(cls, frame: Frame, ego: np.ndarray, red: Sequence[shapely.Polygon]) -> Forecast:
        """From a log frame, the ego's state (≥3,) there and the connectors of red lights.

        Raises UserError naming the token when the frame has no boxes.
        """
        if frame.boxes is None:
            raise UserError(f"frame {frame.token} of log {frame.log_name} has no boxes; PDM-Closed plans with them")
        boxes = frame.boxes
        pose = compose(frame.pose, boxes.boxes[:, [0, 1, 6]].astype(np.float64))
        nearest = _nearest(pose, boxes.names, centre_of(ego))
        pose, names = pose[nearest], boxes.names[nearest]
        is_agent = np.isin(names, AGENT_NAMES)
        velocity = boxes.velocity[nearest, :2].astype(np.float64)  # ego axes, as the box's own yaw
        speed = np.where(is_agent, np.hypot(*velocity.T), 0.0)
        moving = pose[:, 2] + np.where(_reverses(boxes.boxes[nearest, 6], velocity), np.pi, 0.0)
        drift = speed[:, None] * np.stack((np.cos(moving), np.sin(moving)), -1)
        time = STEPS_PER_MAP * STEP_S * np.arange(NUM_MAPS)[:, None, None, None]
        corners = box_corners(pose, boxes.boxes[nearest, 3], boxes.boxes[nearest, 4]) + time * drift[:, None]
        polygons = np.empty((NUM_MAPS, len(pose) + len(red)), object)
        polygons[:, : len(pose)][:, is_agent] = shapely.polygons(corners[:, is_agent])
        polygons[:, : len(pose)][:, ~is_agent] = shapely.polygons(corners[0, ~is_agent])
        polygons[:, len(pose) :] = np.array(red, object)

        # NAVSIM's caching keeps one planner for many scenes, which goes on ignoring tracks that overlapped the ego in
        # an earlier scene of the same worker. That depends on the order of the scenes and is left out here.
        box = shapely.Polygon(box_points(ego)[:CENTRE])
        ignored = np.concatenate(
            (shapely.intersects(box, polygons[0, : len(pose)]), shapely.within(box, polygons[0, len(pose) :]))
        )
        none = np.zeros(len(red))
        return cls(corners, polygons, np.append(speed, none), np.append(pose[:, 2], none), is_agent, ignored)

    def objects(self) -> Objects:
        """The boxes as the scorer takes them, without the ignored ones. Lights are no obstacles to the scorer."""
        kept = ~self.ignored[: len(self.is_agent)]
        step = np.arange(NUM_OBJECT_STEPS) // STEPS_PER_MAP
        return Objects(
            corners=self.corners[step][:, kept],
            present=np.ones((NUM_OBJECT_STEPS, kept.sum()), bool),
            is_agent=self.is_agent[kept],
            is_stopped=self.speed[: len(kept)][kept] <= STOPPED_SPEED,
        )


def _nearest(pose: np.ndarray, names: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Rows of the boxes to keep, class by class, nearest first."""
    distance = np.hypot(*(pose[:, :2] - centre).T)
    rows = []
    for group, count in MAX_COUNTS:
        of_group = np.flatnonzero(np.isin(names, group) & (distance <= RADIUS))
        rows.append(of_group[np.argsort(distance[of_group], kind="stable")][:count])
    return np.concatenate(rows)


def _reverses(yaw: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """(O,) bool: whether velocity (O, 2) points against yaw (O,). Boxes slide along their own axis only: a velocity
    at an angle to it keeps its size."""
    return np.abs(wrap_angle(yaw - np.arctan2(velocity[:, 1], velocity[:, 0]))) >= np.pi / 2
