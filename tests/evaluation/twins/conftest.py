"""The micro workspace with twins beside its ordinary logs, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from twin_town import twin_workspace


@pytest.fixture(scope="session")
def twin_space(micro_workspace, tmp_path_factory) -> Path:
    """Four pairs of val, six of test. Copy it before a change."""
    return twin_workspace(micro_workspace, tmp_path_factory.mktemp("twins") / "workspace", {"val": 4, "test": 6})
