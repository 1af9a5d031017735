"""Places of annotated objects in a scene's camera view and LiDAR map: as they are, and under wrong beliefs.

A sensor that is late, early, mirrored or swapped shows the objects of another time or side; the beliefs say where.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from wotempo.features import FeatureSpec
from wotempo.features.camera import CROP_SIDE_COLUMNS, RAW_SHAPE, stitched_pixels
from wotempo.navsim.schema import Frame, Scene

NOW, BEFORE, AFTER, MIRRORED, SWAPPED = (
    "as annotated", "half a second before", "half a second later", "mirrored", "left and right swapped"
)  # fmt: skip
MOST, FAR = 16, 30.0
"""Nearest objects of a scene, and how far off they may be (m)."""
GRID = np.stack([each.ravel() for each in np.meshgrid(*[np.linspace(-0.45, 0.45, 5)] * 2)], -1)
"""(25, 2), places inside of a box in terms of its length and width."""
SIDE = len(range(*CROP_SIDE_COLUMNS.indices(RAW_SHAPE[1])))
PARTS = {
    "left camera": (0.0, SIDE / (RAW_SHAPE[1] + 2 * SIDE)),
    "front camera": (SIDE / (RAW_SHAPE[1] + 2 * SIDE), 1 - SIDE / (RAW_SHAPE[1] + 2 * SIDE)),
    "right camera": (1 - SIDE / (RAW_SHAPE[1] + 2 * SIDE), 1.0),
}
"""Columns of the stitched view, in terms of its width."""


def beliefs_about(scene: Scene, spec: FeatureSpec) -> dict[str, dict[str, np.ndarray]]:
    """``lidar``: belief -> (n, 25, 2) row and column in the LiDAR map of places inside of each of n objects.
    ``camera``: belief -> (n, 4) left, top, right, bottom pixel of the object's hull in the stitched view. NaN where it
    is not seen.
    The same objects in the same order throughout: those that are annotated in the frames before and behind, too. None
    where the scene has no annotation."""
    if scene.current.boxes is None:
        return {"lidar": {NOW: np.empty((0, len(GRID), 2))}, "camera": {NOW: np.empty((0, 4))}}
    frames = {NOW: scene.current, BEFORE: _neighbour(scene, -1), AFTER: _neighbour(scene, 1)}
    tracks = _common([frame for frame in frames.values() if frame is not None])
    boxes = {belief: _boxes(frame, tracks) for belief, frame in frames.items() if frame is not None}
    boxes[MIRRORED] = boxes[NOW] * np.array([1, -1, 1, 1, 1, 1, -1])
    lidar = {belief: _places(members, spec) for belief, members in boxes.items()}
    camera = {belief: _hulls(members, scene.current, spec) for belief, members in boxes.items()}
    camera[SWAPPED] = _swapped(camera[NOW], spec)
    return {"lidar": lidar, "camera": camera}


def _neighbour(scene: Scene, step: int) -> Frame | None:
    """The frame before or behind the current one; None at the ends of the log, and across a gap."""
    place = scene.index + step
    if not 0 <= place < len(scene.log.frames):
        return None
    other = scene.log.frames[place]
    gap = abs(other.timestamp_us - scene.current.timestamp_us) / 1e6
    return other if gap <= scene.max_gap_s and other.boxes is not None else None


def _common(frames: list[Frame]) -> list[str]:
    """Tracks that all the frames have, the nearest to the ego of the first frame first."""
    first = frames[0].boxes
    if first is None:
        return []
    everywhere = set.intersection(*(set(frame.boxes.track_tokens) for frame in frames if frame.boxes is not None))
    distance = np.hypot(first.boxes[:, 0], first.boxes[:, 1])
    order = [i for i in np.argsort(distance) if distance[i] <= FAR and first.track_tokens[i] in everywhere]
    return [first.track_tokens[i] for i in order[:MOST]]


def _boxes(frame: Frame, tracks: list[str]) -> np.ndarray:
    """(n, 7) of these tracks, in the ego axes of the frame."""
    assert frame.boxes is not None
    row = {track: i for i, track in enumerate(frame.boxes.track_tokens)}
    return frame.boxes.boxes[[row[track] for track in tracks]].reshape(-1, 7)


def _places(boxes: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    cos, sin = np.cos(boxes[:, 6])[:, None], np.sin(boxes[:, 6])[:, None]
    along, across = GRID[None, :, 0] * boxes[:, 3:4], GRID[None, :, 1] * boxes[:, 4:5]
    x = boxes[:, 0:1] + cos * along - sin * across
    y = boxes[:, 1:2] + sin * along + cos * across
    row, col = spec.lidar_grid.to_index(x, y)
    rows, cols = spec.lidar_grid.shape
    seen = (row >= 0) & (row <= rows - 1) & (col >= 0) & (col <= cols - 1)
    return np.where(seen[..., None], np.stack((row, col), -1), np.nan).astype(np.float32)


def _hulls(boxes: np.ndarray, frame: Frame, spec: FeatureSpec) -> np.ndarray:
    """NaN where a corner is not in the view, or where it lies in another part of it than the others."""
    corners = np.array(list(product((-0.5, 0.5), repeat=3)))  # (8, 3)
    cos, sin = np.cos(boxes[:, 6]), np.sin(boxes[:, 6])
    size = corners[None] * boxes[:, None, 3:6]
    x = boxes[:, 0, None] + cos[:, None] * size[..., 0] - sin[:, None] * size[..., 1]
    y = boxes[:, 1, None] + sin[:, None] * size[..., 0] + cos[:, None] * size[..., 1]
    z = boxes[:, 2, None] + size[..., 2]
    at = stitched_pixels(np.stack((x, y, z), -1).reshape(-1, 3), frame, spec).reshape(-1, 8, 2)
    hulls = np.concatenate((at.min(1), at.max(1)), 1)  # NaN spreads
    width = spec.image_width
    parts = [np.digitize(hulls[:, i] / width, [begin for begin, _ in PARTS.values()]) for i in (0, 2)]
    hulls[(parts[0] != parts[1])] = np.nan
    return hulls.astype(np.float32)


def _swapped(hulls: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """Objects of the side cameras where the other side camera would show them; those of the front camera are out."""
    width, begin = spec.image_width, PARTS["right camera"][0] * spec.image_width
    left, right = hulls[:, 2] <= PARTS["left camera"][1] * width, hulls[:, 0] >= begin
    moved = hulls + np.where(left, begin, np.where(right, -begin, np.nan))[:, None] * np.array([1, 0, 1, 0])
    return moved.astype(np.float32)


def parts_of_the_view() -> dict[str, Any]:
    """Camera -> its first and last column in terms of the width of the stitched view."""
    return {name: list(columns) for name, columns in PARTS.items()}
