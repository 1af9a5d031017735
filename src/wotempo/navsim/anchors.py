"""The trajectory anchors (proposals) that a model and its labels must share."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.files import array_bytes, write_bytes

NUM_POSES = 8  # 0.5 … 4.0 s


def read_anchors(path: Path) -> np.ndarray:
    """(N, 8, 3) float32: x, y [m], heading [rad] in the current ego frame at 0.5 … 4.0 s.

    Raises UserError naming the file when it is missing, damaged, of another shape, or not finite.
    """
    try:
        anchors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read as a .npy array of anchors ({error})") from error
    if not isinstance(anchors, np.ndarray) or anchors.ndim != 3 or anchors.shape[1:] != (NUM_POSES, 3):
        raise UserError(f"{path}: anchors need the shape (N, {NUM_POSES}, 3), found {getattr(anchors, 'shape', None)}")
    if len(anchors) == 0 or not np.isfinite(anchors).all():
        raise UserError(f"{path}: holds no anchors, or some that are not finite")
    return anchors.astype(np.float32)


def write_anchors(path: Path, anchors: np.ndarray) -> None:
    """Write (N, 8, 3) as float32 ``.npy``, atomically. Raises UserError when the disk is full."""
    write_bytes(path, array_bytes(np.asarray(anchors, np.float32)))


def fingerprint(anchors: np.ndarray) -> str:
    """16 hex digits that change with any value or with the shape: sha256 of the float32 little-endian bytes + shape."""
    values = np.ascontiguousarray(anchors, "<f4")
    return hashlib.sha256(values.tobytes() + str(values.shape).encode()).hexdigest()[:16]
