"""Camera images: JPEG <-> (H, W, 3) uint8 RGB."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from wotempo.errors import UserError
from wotempo.navsim.files import read_bytes, write_bytes

_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a JPEG, decoded as the official reader does (Pillow).

    Raises UserError naming the file when it is missing, truncated, or not an RGB JPEG.
    """
    data = read_bytes(path)
    try:
        image = Image.open(io.BytesIO(data), formats=["JPEG"])
        pixels = np.array(image)  # Pillow raises here when the data ends early
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path}: truncated or corrupt JPEG ({error}); fetch it again") from error
    # A download into preallocated zeros decodes without complaint, with a grey lower part.
    if data.rfind(_END_OF_IMAGE) < data.rfind(_START_OF_SCAN):
        raise UserError(f"{path}: truncated JPEG (no end marker); fetch it again")
    if pixels.ndim != 3:
        raise UserError(f"{path}: a {image.mode} image, expected RGB")
    return pixels


def write_image(path: Path, rgb: np.ndarray, quality: int = 90) -> None:
    """Write (H, W, 3) uint8 RGB as a baseline JPEG, atomically. Raises UserError when the disk is full."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb, np.uint8)).save(buffer, "JPEG", quality=quality)
    write_bytes(path, buffer.getvalue())
