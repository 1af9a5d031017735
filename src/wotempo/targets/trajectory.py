"""The human's future trajectory."""

from __future__ import annotations

import numpy as np

from wotempo.errors import UserError
from wotempo.geometry import relative_to
from wotempo.navsim.schema import Scene


def trajectory_target(scene: Scene, num_poses: int = 8) -> np.ndarray:
    """(num_poses, 3) float32: x, y (m), heading (rad, wrapped) of the coming 2 Hz frames in the current ego frame.

    Computed in float64 from global poses. Raises UserError when the log holds fewer future frames.
    """
    future = scene.future
    if len(future) < num_poses:
        raise UserError(
            f"scene {scene.token} of log {scene.log.name} has {len(future)} future frames, a trajectory needs "
            f"{num_poses}: choose scenes with num_future ≥ {num_poses}, or load it without targets"
        )
    poses = np.stack([frame.pose for frame in future[:num_poses]])
    return relative_to(scene.current.pose, poses).astype(np.float32)
