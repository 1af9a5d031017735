"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

# One thread each: test processes side by side would wait for each other's, and sums keep their order on any machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The reference folder beside the checkout; tests that need it carry the mark ``shared``."""
    path = REPOSITORY.parent / "shared"
    if not (path / "golden").is_dir():
        pytest.skip("the reference folder is not beside this checkout")
    return path


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Small reference values that belong to the repository."""
    return Path(__file__).resolve().parent / "golden"
