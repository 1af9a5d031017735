"""Warnings of Lightning itself that say nothing about the criteria."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

HARMLESS = (
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning",  # Lightning 2.6 with torch 2.14
    r"ignore:.*does not have many workers",
    r"ignore:Checkpoint directory .* exists and is not empty",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for warning in HARMLESS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(autouse=True, scope="session")
def _faults_are_observed_once(session_folder: Path) -> None:
    import fault_observed

    fault_observed.FOLDER = session_folder / "faults"


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)  # the tensors are tiny: threads only wait for each other
