"""A micro town, made once, and a way to train on it inside the test process."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose
from small_run import SMALL

from wotempo.config.composition import loaded


@pytest.fixture(scope="session")
def workspace(micro_workspace, tmp_path_factory) -> Path:
    """Holds the town, anchors, labels and caches that the runs of a session share."""
    return shutil.copytree(micro_workspace, tmp_path_factory.mktemp("copy") / "workspace")


@pytest.fixture
def train(workspace, tmp_path) -> Callable[..., tuple[int, dict[str, Any]]]:
    """``train(*overrides) -> (exit code, verdict)``: the command's own ``work`` on a composed config."""
    from wotempo.experiment.run import work

    counter = iter(range(100))
    threads = torch.get_num_threads()

    def run(*overrides: str) -> tuple[int, dict[str, Any]]:
        folder = tmp_path / f"run{next(counter)}"
        given = [f"run_dir={folder}", f"workspace={workspace}", *SMALL, *overrides]
        with loaded():
            config = compose("train", overrides=given)
        code = work(config)
        folder = Path(config.run_dir)
        verdict = json.loads((folder / "verdict.json").read_text())
        verdict["run_dir"] = folder
        return code, verdict

    yield run
    torch.set_num_threads(threads)


@pytest.fixture
def study(monkeypatch) -> Callable[..., int]:
    """``study(name, *words) -> exit code`` of a script of scripts/studies, inside the test process."""
    folder = Path(__file__).resolve().parents[2] / "scripts" / "studies"

    def run(name: str, *words: object) -> int:
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(folder / f"{name}.py"), run_name="__main__")
        return ended.value.code

    return run
