"""Log-replayed objects at 10 Hz: every annotated track, interpolated between the 2 Hz frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wotempo.geometry.pose import compose, wrap_angle
from wotempo.navsim.schema import AGENT_NAMES, NUM_FUTURE, Frame

NUM_OBJECT_STEPS = 51  # t = 0, 0.1 … 5.0 s: time-to-collision looks 1 s past the 4 s horizon
NUM_OBJECT_FRAMES = NUM_FUTURE + 1
STEPS_PER_FRAME = 5
STOPPED_SPEED = 0.05


@dataclass(frozen=True)
class Objects:
    """O objects of a scene in S steps of 0.1 s (51 for the v1.1 score), global frame, metres."""

    corners: np.ndarray  # (S, O, 4, 2) float64, front left, rear left, rear right, front right; anything where absent
    present: np.ndarray  # (S, O) bool
    is_agent: np.ndarray  # (O,) bool: vehicle, pedestrian or bicycle
    is_stopped: np.ndarray  # (O,) bool: not an agent, or at most 0.05 m/s when first seen
    tracks: tuple[str, ...] = ()  # (O) of the log; empty where nothing asks who they are


def box_corners(pose: np.ndarray, length: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Corners (..., 4, 2) of boxes with centre pose (..., 3); length and width broadcast over (...)."""
    forward = np.stack((np.cos(pose[..., 2]), np.sin(pose[..., 2])), -1)[..., None, :]
    left = np.stack((-np.sin(pose[..., 2]), np.cos(pose[..., 2])), -1)[..., None, :]
    along = 0.5 * np.asarray(length)[..., None, None] * np.array([1, -1, -1, 1])[:, None]
    across = 0.5 * np.asarray(width)[..., None, None] * np.array([1, 1, -1, -1])[:, None]
    return pose[..., None, :2] + along * forward + across * left


def replay_objects(frames: Sequence[Frame], num_frames: int = NUM_OBJECT_FRAMES) -> Objects:
    """Objects of the current frame and those that follow (``num_frames`` in all, with boxes, 0.5 s apart).

    A track exists from its first to its last frame; gaps in between are bridged linearly. A track that was seen in one
    frame only stands still in all steps. Size, class and "stopped" come from the first frame of the track.
    """
    annotated = [(frame.pose, frame.boxes) for frame in frames if frame.boxes is not None]
    if len(annotated) != num_frames:
        raise ValueError(f"replay needs {num_frames} frames with boxes, got {len(annotated)}")
    column: dict[str, int] = {}
    for _, boxes in annotated:
        for token in boxes.track_tokens:
            column.setdefault(token, len(column))

    count = len(column)
    seen = np.zeros((num_frames, count), bool)
    pose = np.zeros((num_frames, count, 3))
    size = np.zeros((count, 2))
    is_agent = np.zeros(count, bool)
    speed = np.zeros(count)
    for step, (ego, boxes) in reversed(list(enumerate(annotated))):  # backwards: the first frame of a track wins
        columns = np.array([column[token] for token in boxes.track_tokens], np.int64)
        seen[step, columns] = True
        pose[step, columns] = compose(ego, boxes.boxes[:, [0, 1, 6]].astype(np.float64))
        size[columns] = boxes.boxes[:, 3:5]
        is_agent[columns] = np.isin(boxes.names, AGENT_NAMES)
        speed[columns] = np.hypot(boxes.velocity[:, 0], boxes.velocity[:, 1])

    pose, present = _interpolate(pose, seen)
    return Objects(
        corners=box_corners(pose, size[:, 0], size[:, 1]),
        present=present,
        is_agent=is_agent,
        is_stopped=~is_agent | (speed <= STOPPED_SPEED),
        tracks=tuple(column),
    )


def _interpolate(pose: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """2 Hz poses (F, O, 3) where ``seen`` (F, O) -> 10 Hz poses (S, O, 3) and presence (S, O), S = 5·(F - 1) + 1."""
    num_frames = len(seen)
    frame = np.arange(num_frames)[:, None]
    previous = np.maximum.accumulate(np.where(seen, frame, -1), 0)  # last seen at or before; -1: not yet
    following = np.minimum.accumulate(np.where(seen, frame, num_frames)[::-1], 0)[::-1]
    first, last = following[0], previous[-1]

    columns = np.arange(seen.shape[1])
    # Carried forward over gaps, headings unwrap between neighbouring *sightings*.
    carried = pose[np.maximum(previous, first), columns]
    carried[..., 2] = np.unwrap(carried[..., 2], axis=0)

    step = np.arange(STEPS_PER_FRAME * (num_frames - 1) + 1)
    before = np.maximum(previous[step // STEPS_PER_FRAME], first)
    after = np.minimum(following[-(-step // STEPS_PER_FRAME)], last)
    time = step[:, None] / STEPS_PER_FRAME
    weight = np.where(after > before, (time - before) / np.maximum(after - before, 1), 0.0)[..., None]
    start, end = carried[before, columns], carried[after, columns]
    out = start + weight * (end - start)
    out[..., 2] = wrap_angle(out[..., 2])
    present = ((time >= first) & (time <= last)) | (first == last)
    return out, present
