"""Camera images: JPEG <-> (H, W, 3) uint8 RGB."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from wotempo.errors import UserError
from wotempo.navsim.files import read_bytes, write_bytes

MOST_PIXELS = 1 << 25  # 100 MB in memory; a camera of NAVSIM has 2e6
MOST_SCANS = 100  # each is a pass over the whole picture; a progressive one has about ten
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a JPEG, decoded as the official reader does (Pillow).

    Raises UserError naming the file when it is missing, truncated, not an RGB JPEG, or of more pixels than any
    camera's, which is known from its header.
    """
    data = read_bytes(path)
    try:
        image = _opened(data)
        if (count := image.width * image.height) > MOST_PIXELS or data.count(_START_OF_SCAN) > MOST_SCANS:
            raise UserError(f"{path}: a JPEG of {image.width}×{image.height} = {count} pixels; no camera makes it")
        pixels = np.array(image)  # Pillow raises here when the data ends early
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: truncated or corrupt JPEG ({error}); fetch it again") from error
    # A download into preallocated zeros decodes without complaint, with a grey lower part.
    if data.rfind(_END_OF_IMAGE) < data.rfind(_START_OF_SCAN):
        raise UserError(f"{path}: truncated JPEG (no end marker); fetch it again")
    if pixels.ndim != 3:
        raise UserError(f"{path}: a {image.mode} image, expected RGB")
    return pixels


def _opened(data: bytes) -> Image.Image:
    """Its header is read, no pixel is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MOST_PIXELS is less than what Pillow warns of
        return Image.open(io.BytesIO(data), formats=["JPEG"])


def write_image(path: Path, rgb: np.ndarray, quality: int = 90) -> None:
    """Write (H, W, 3) uint8 RGB as a baseline JPEG, atomically. Raises UserError when the disk is full."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb, np.uint8)).save(buffer, "JPEG", quality=quality)
    write_bytes(path, buffer.getvalue())
