"""Scores of real traffic on real maps equal those of NAVSIM v1.1; `make bench WHAT=real_drives` compares all scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real_drives import RealDrives

SAMPLE = 24  # of 371


@pytest.mark.shared
def test_scenes_of_real_drives(shared_dir: Path, tmp_path: Path) -> None:
    anchors = shared_dir / "golden" / "navsim" / "anchors_256.npy"
    drives = RealDrives(shared_dir / "data" / "real_drives", anchors, tmp_path)
    rows = np.random.default_rng(0).choice(len(drives), SAMPLE, replace=False)
    apart = drives.compare(sorted(rows))
    assert apart.proposals == SAMPLE * 256
    assert apart.still > 0, "the sample holds no proposal that stands still"
    assert (apart.discrete, apart.moving) == (0, 0), apart
    assert apart.others == []
