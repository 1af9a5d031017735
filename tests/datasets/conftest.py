"""A few logs in NAVSIM's format, whose scenes are searched."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_dataset import write_dataset


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("navsim")
    write_dataset(root)
    return root
