"""The human's future trajectory."""

from __future__ import annotations

import numpy as np

from wotempo.errors import UserError
from wotempo.geometry import relative_to
from wotempo.navsim.schema import Frame, Scene


def future_frames(scene: Scene, count: int, what: str) -> list[Frame]:
    """The next ``count`` frames, as ``what`` needs them. Raises UserError when the log holds fewer."""
    future = scene.future
    if len(future) < count:
        raise UserError(
            f"scene {scene.token} of log {scene.log.name} has {len(future)} future frames, {what} needs {count}: "
            f"choose scenes with num_future ≥ {count}, or load it without targets"
        )
    return future[:count]


def trajectory_target(scene: Scene, num_poses: int = 8) -> np.ndarray:
    """(num_poses, 3) float32: x, y (m), heading (rad, wrapped) of the coming 2 Hz frames in the current ego frame.

    Computed in float64 from global poses. Raises UserError when the log holds fewer future frames.
    """
    poses = np.stack([frame.pose for frame in future_frames(scene, num_poses, "a trajectory")])
    return relative_to(scene.current.pose, poses).astype(np.float32)
