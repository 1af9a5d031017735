"""The parameters that decide what a frame's features are, and their fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from wotempo.errors import UserError
from wotempo.geometry import LIDAR_HISTOGRAM, BevGrid

# Counts up whenever the same parameters would give other bytes: caches of an older revision are then not re-used.
REVISION = 1

# The stitched view is 4096×1024 before it is scaled.
STITCH_ASPECT = 4


@dataclass(frozen=True)
class FeatureSpec:
    """Full size is 256×1024 (WoTE); a smaller multiple of the same 4:1 view makes tiny runs cheap."""

    image_height: int = 256
    image_width: int = 1024
    lidar_grid: BevGrid = LIDAR_HISTOGRAM
    lidar_split_height: float = 0.2  # metres in the ego frame: points at or below are ground
    lidar_max_height: float = 100.0  # metres: points at or above are dropped
    lidar_max: int = 5  # counts are clipped here; the model divides by it

    def __post_init__(self) -> None:
        if self.image_height < 1 or self.image_width != STITCH_ASPECT * self.image_height:
            raise UserError(
                f"the stitched camera view is {STITCH_ASPECT}:1, but the feature size is "
                f"{self.image_height}×{self.image_width} (height×width): set image_width = {STITCH_ASPECT}·image_height"
            )
        if not 1 <= self.lidar_max <= 255:
            raise UserError(f"lidar_max = {self.lidar_max} does not fit uint8 counts: choose 1 … 255")

    @property
    def content_hash(self) -> str:
        """16 hex digits that differ whenever the features of one and the same file would differ."""
        text = json.dumps({"revision": REVISION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
