"""The golden cut of a map."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def golden_maps(golden_dir: Path) -> Path:
    return golden_dir / "navsim" / "maps"
