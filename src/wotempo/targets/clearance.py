"""The clearance of a trajectory from the agents around, if they stand still or keep their velocity.

This is all that a planner can know of collisions without predicting any other motion."""

from __future__ import annotations

import numpy as np

from wotempo.navsim.schema import AGENT_NAMES, FRAME_PERIOD_S, Frame
from wotempo.targets.agents import boxes_of
from wotempo.targets.spec import EGO_BOX

FAR = 60.0  # m: no agent nearer than this


def clearance(frame: Frame, anchors: np.ndarray, moving: bool) -> np.ndarray:
    """anchors (N, P, 3) ego-frame poses 0.5 s apart -> (N,) m: the least gap over poses and agents, negative where they
    overlap, at most ``FAR``.

    Agents keep their heading and, with ``moving``, their annotated velocity. The gap is the larger of those along and
    across the ego's heading, between the ego's box and the agent's bounding box in that heading.
    """
    boxes = boxes_of(frame)
    near = np.isin(boxes.names, AGENT_NAMES) & (np.linalg.norm(boxes.boxes[:, :2], axis=1) < FAR)
    box, velocity = boxes.boxes[near], boxes.velocity[near, :2] * moving
    if not len(box):
        return np.full(len(anchors), FAR)
    ego = EGO_BOX["fixed"]
    heading = anchors[:, None, :, 2]  # (N, 1, P), against agents (1, A, P)
    cos, sin = np.cos(heading), np.sin(heading)
    time = FRAME_PERIOD_S * np.arange(1, anchors.shape[1] + 1)
    dx, dy = (
        box[None, :, None, axis] + velocity[None, :, None, axis] * time - anchors[:, None, :, axis] - shift
        for axis, shift in ((0, ego.offset * cos), (1, ego.offset * sin))
    )
    turn = box[None, :, None, 6] - heading
    length, width = box[None, :, None, 3], box[None, :, None, 4]
    along = (abs(np.cos(turn)) * length + abs(np.sin(turn)) * width + ego.length) / 2
    across = (abs(np.sin(turn)) * length + abs(np.cos(turn)) * width + ego.width) / 2
    gap = np.maximum(abs(dx * cos + dy * sin) - along, abs(dy * cos - dx * sin) - across)
    return np.minimum(gap.min((1, 2)), FAR)
