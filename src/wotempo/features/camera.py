"""Three forward cameras stitched to one wide picture (TransFuser's view, which WoTE keeps)."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from wotempo.errors import UserError
from wotempo.features.spec import FeatureSpec
from wotempo.navsim.schema import STITCHED_CAMERAS, Frame

RAW_SHAPE = (1080, 1920, 3)
# Crops in pixels of the raw image; together they make the stitched view exactly 4096×1024.
CROP_ROWS = slice(28, -28)
CROP_SIDE_COLUMNS = slice(416, -416)


def check_image(image: np.ndarray, what: str) -> None:
    """UserError naming ``what`` unless the image has the size that the crops are defined on."""
    if image.shape != RAW_SHAPE:
        raise UserError(f"{what}: an image of shape {image.shape}, the stitched view is defined on {RAW_SHAPE}")


def camera_feature(images: Mapping[str, np.ndarray], spec: FeatureSpec) -> np.ndarray:
    """Stitch L0 | F0 | R0 and scale bilinearly.

    images: camera name -> (1080, 1920, 3) uint8 RGB, at least ``STITCHED_CAMERAS``.
    Returns (H, W, 3) uint8 RGB; the model divides by 255. Raises UserError for a missing or misshapen image.
    """
    parts = []
    for name in STITCHED_CAMERAS:
        if name not in images:
            raise UserError(f"the frame has no image of {name}: the stitched view needs {', '.join(STITCHED_CAMERAS)}")
        image = images[name]
        check_image(image, name)
        parts.append(image[CROP_ROWS] if name == "CAM_F0" else image[CROP_ROWS, CROP_SIDE_COLUMNS])
    stitched = np.concatenate(parts, axis=1)
    return cv2.resize(stitched, (spec.image_width, spec.image_height), interpolation=cv2.INTER_LINEAR)


def widest(distortion: np.ndarray) -> float:
    """Tangent of the angle to the axis up to which what is further out is also seen further out. The polynomial
    r (1 + k₁ r² + k₂ r⁴ + k₃ r⁶) of OpenCV's distortion (k₁, k₂, p₁, p₂, k₃) turns there, and folds what lies beyond
    back into the picture."""
    k1, k2, _, _, k3 = distortion
    turns = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])  # of its derivative, in r²
    turns = turns.real[(abs(turns.imag) < 1e-9) & (turns.real > 0)]
    return float(np.sqrt(turns.min())) if len(turns) else np.inf


def stitched_pixels(points: np.ndarray, frame: Frame, spec: FeatureSpec) -> np.ndarray:
    """Where points (n, 3) of the ego frame stand in ``camera_feature``: (n, 2) column and row, NaN where in no part of
    it. A point in two cameras is taken from the middle one, so that a line through it breaks once only."""
    pixels = np.full((len(points), 2), np.nan)
    rows, sides = CROP_ROWS.indices(RAW_SHAPE[0]), CROP_SIDE_COLUMNS.indices(RAW_SHAPE[1])
    whole, side = RAW_SHAPE[1], sides[1] - sides[0]
    scale = np.array([spec.image_width / (whole + 2 * side), spec.image_height / (rows[1] - rows[0])])
    places = {"CAM_L0": (0, sides), "CAM_R0": (side + whole, sides), "CAM_F0": (side, (0, whole, 1))}
    for name, (start, columns) in places.items():
        camera = frame.cameras[name]
        seen = (points - camera.translation) @ camera.rotation  # camera axes
        beside = np.hypot(seen[:, 0], seen[:, 1]) > widest(camera.distortion) * seen[:, 2]
        ahead = np.flatnonzero((seen[:, 2] > 0.1) & ~beside)
        if not len(ahead):
            continue
        at, _ = cv2.projectPoints(seen[ahead], np.zeros(3), np.zeros(3), camera.intrinsics, camera.distortion)
        u, v = at[:, 0].T
        inside = (u >= columns[0]) & (u < columns[1]) & (v >= rows[0]) & (v < rows[1])
        shown = np.stack((u - columns[0] + start, v - rows[0]), 1) * scale
        pixels[ahead[inside]] = shown[inside]
    return pixels
