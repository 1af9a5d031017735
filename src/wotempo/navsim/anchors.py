"""The trajectory anchors (proposals) that a model and its labels must share."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.arrays import read_array
from wotempo.navsim.files import array_bytes, write_bytes

NUM_POSES = 8  # 0.5 … 4.0 s
DENSE_POSES = 40  # 0.1 … 4.0 s
FARTHEST = 1e4  # m, rad: beyond it nothing drives in 4 s


def read_anchors(path: Path) -> np.ndarray:
    """(N, 8, 3) float32: x, y [m], heading [rad] in the current ego frame at 0.5 … 4.0 s.

    Of anchors at 10 Hz, (N, 40, 3), every fifth pose is taken, and a line on the screen says so. Raises UserError
    naming the file when it is missing, damaged, of another shape, holds no numbers, or some that are not finite.
    """
    try:
        anchors = read_array(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a .npy array of anchors ({error})") from error
    if anchors.dtype.kind not in "fiu":
        raise UserError(f"{path}: holds {anchors.dtype}, anchors are numbers")
    if anchors.ndim != 3 or anchors.shape[1] not in (NUM_POSES, DENSE_POSES) or anchors.shape[2] != 3:
        raise UserError(
            f"{path}: anchors need the shape (N, {NUM_POSES}, 3), found {anchors.shape}; "
            f"at 10 Hz they have (N, {DENSE_POSES}, 3)"
        )
    if len(anchors) == 0 or not (abs(anchors) <= FARTHEST).all():
        raise UserError(f"{path}: holds no anchors, or some that are not finite or beyond {FARTHEST:g} m")
    if anchors.shape[1] == DENSE_POSES:
        every = DENSE_POSES // NUM_POSES
        anchors = anchors[:, every - 1 :: every]
        print(f"{path}: anchors at 10 Hz; every {every}th pose is taken, 0.5 … 4.0 s", flush=True)
    return anchors.astype(np.float32)


def write_anchors(path: Path, anchors: np.ndarray) -> None:
    """Write (N, 8, 3) as float32 ``.npy``, atomically. Raises UserError when the disk is full."""
    write_bytes(path, array_bytes(np.asarray(anchors, np.float32)))


def fingerprint(anchors: np.ndarray) -> str:
    """16 hex digits that change with any value or with the shape: sha256 of the float32 little-endian bytes + shape."""
    values = np.ascontiguousarray(anchors, "<f4")
    return hashlib.sha256(values.tobytes() + str(values.shape).encode()).hexdigest()[:16]
