"""Two plans that need no model: what the human drove, and straight on at constant speed."""

from __future__ import annotations

import numpy as np

from wotempo.geometry.pose import relative_to
from wotempo.navsim.anchors import NUM_POSES
from wotempo.navsim.per_scene import SceneError
from wotempo.navsim.schema import FRAME_PERIOD_S, Scene


def human_poses(scene: Scene) -> np.ndarray:
    """(8, 3) float64 poses of the log in the current ego frame, at 0.5 … 4.0 s."""
    future = scene.future[:NUM_POSES]
    if len(future) < NUM_POSES:
        lacks = f"only {len(future)} of {NUM_POSES} future frames follow"
        raise SceneError(scene.token, scene.log.name, lacks)
    return relative_to(scene.current.pose, np.stack([frame.pose for frame in future]))


def constant_velocity_poses(scene: Scene) -> np.ndarray:
    """(8, 3) float32 poses straight ahead at the current speed, at 0.5 … 4.0 s.

    Velocity and poses have single precision as in NAVSIM's agent: at 20 m/s the last pose lies up to 4e-6 m elsewhere.
    """
    poses = np.zeros((NUM_POSES, 3), np.float32)
    speed = np.linalg.norm(np.asarray(scene.current.velocity, np.float32))
    poses[:, 0] = speed * FRAME_PERIOD_S * np.arange(1, NUM_POSES + 1)
    return poses
