"""Files of plans: one trajectory per token, as ``plans.npz`` or as the file that NAVSIM's test server takes.

``plans.npz``: ``tokens`` (n,) str and ``poses`` (n, 8, 3) float32: x, y (m), heading (rad) in the ego frame of each
token, every 0.5 s.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from wotempo.navsim.files import write_bytes


def write_plans_file(path: Path, plans: Mapping[str, np.ndarray]) -> None:
    """token -> (8, 3), as ``plans.npz``; atomic. UserError when the disk is full."""
    buffer = io.BytesIO()
    poses = np.stack([np.asarray(plan, np.float32) for plan in plans.values()])
    np.savez_compressed(buffer, tokens=np.array(list(plans), dtype=str), poses=poses)
    write_bytes(path, buffer.getvalue())
