"""The town's camera rig: NAVSIM's eight cameras in round figures.

Every image is a plain pinhole view: the distortion coefficients are zero and the renderer applies none, so the devkit's
projection ``K Rᵀ (p_ego − t)`` is exact here. (Real NAVSIM images are distorted and the devkit ignores that too.)
"""

from __future__ import annotations

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.schema import CAMERAS, Camera

IMAGE_HEIGHT, IMAGE_WIDTH = 1080, 1920

# Pixels of the 1920×1080 image; integer coordinates are pixel centres, as OpenCV counts them.
INTRINSICS = np.array([[1545.0, 0.0, 960.0], [0.0, 1545.0, 560.0], [0.0, 0.0, 1.0]])

# name -> (x, y, z) in metres and viewing yaw in degrees, both in the ego frame; the left and right sides mirror.
MOUNTS: dict[str, tuple[tuple[float, float, float], float]] = {
    "CAM_F0": ((1.65, 0.0, 1.5), 0.0),
    "CAM_L0": ((1.65, 0.15, 1.5), 55.0),
    "CAM_L1": ((1.3, 0.6, 1.4), 110.0),
    "CAM_L2": ((-0.5, 0.5, 1.35), 140.0),
    "CAM_R0": ((1.65, -0.15, 1.5), -55.0),
    "CAM_R1": ((1.3, -0.6, 1.4), -110.0),
    "CAM_R2": ((-0.5, -0.5, 1.35), -140.0),
    "CAM_B0": ((-0.5, 0.0, 1.45), 180.0),
}


def camera_rotation(yaw: float) -> np.ndarray:
    """(3, 3) camera -> ego for a level camera that looks along ``yaw`` (radians, counter-clockwise from ego x).

    Camera axes: x right, y down, z forward; the columns are those axes in the ego frame.
    """
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[sin, 0.0, cos], [-cos, 0.0, sin], [0.0, -1.0, 0.0]])


def rig_camera(name: str, path: str) -> Camera:
    """The rig's camera ``name`` with the image ``path`` (relative to ``sensor_blobs/<split>``).

    Raises ``UserError`` when the rig has no such camera.
    """
    if name not in MOUNTS:
        raise UserError(f"the rig has no camera '{name}': choose from {', '.join(CAMERAS)}")
    translation, yaw = MOUNTS[name]
    return Camera(
        path=path,
        rotation=camera_rotation(np.deg2rad(yaw)),
        translation=np.array(translation),
        intrinsics=INTRINSICS.copy(),
        distortion=np.zeros(5),
    )
