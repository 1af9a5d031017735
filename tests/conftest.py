"""Shared fixtures."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

# One thread each: test processes side by side would wait for each other's, and sums keep their order on any machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Seconds that wandb gives its own processes: on a busy machine they start late.
os.environ.setdefault("WANDB_X_SERVICE_WAIT", "900")
os.environ.setdefault("WANDB_INIT_TIMEOUT", "900")

import pytest

gc.disable()  # what is imported and collected stays; see pytest_collection_finish
REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: the last ones to be handed to a worker are short, so that workers end together."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """The collector passes over what stays until the end: a tenth of the time of all tests."""
    gc.freeze()
    gc.enable()


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


@pytest.fixture
def no_key(monkeypatch, tmp_path_factory) -> None:
    """No key of wandb, and nothing of the user's own home."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(home))


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def micro_town(session_folder: Path) -> Path:
    """The micro town with its pictures, built once for all workers of a session; copy it before a change."""
    from wotempo.city import build_city, city_config

    root = session_folder / "micro_town"
    build_city(root, city_config("micro"))  # the second worker waits for the first
    return root


@pytest.fixture(scope="session")
def micro_workspace(session_folder: Path, micro_town: Path) -> Path:
    """The micro town with anchors, labels and caches of ``small_run.SMALL``; copy it before a run."""
    from hydra import compose
    from small_run import SMALL

    from wotempo.config.composition import loaded
    from wotempo.config.schema import typed
    from wotempo.datasets import dataset_of
    from wotempo.navsim.lock import locked
    from wotempo.preparation.prepare import prepare_data

    workspace = session_folder / "micro_workspace"
    with loaded():
        config = typed(compose("train", overrides=["run_dir=unset", f"workspace={workspace}", *SMALL]))
    with locked(workspace.with_suffix(".lock"), str(workspace), wait=True):
        if not workspace.exists():
            shutil.copytree(micro_town, dataset_of(config.data, workspace).root)
            prepare_data(config)
    return workspace
