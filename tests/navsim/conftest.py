"""The small data root of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def golden_root(golden_dir: Path) -> Path:
    return golden_dir / "navsim"


@pytest.fixture(scope="session")
def golden_log_path(golden_root: Path) -> Path:
    return next((golden_root / "navsim_logs" / "golden").glob("*.pkl"))
