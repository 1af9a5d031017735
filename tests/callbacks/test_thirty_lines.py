"""The package, dropped into a Lightning project that knows nothing of driving, works unchanged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from patience import HANGS_S

HERE = Path(__file__).parent
PROJECT = HERE / "thirty_lines.py"
DRIVING = ("history", "ego_motion", "warp_gain", "gradient_flow")


@pytest.fixture
def run(tmp_path):
    """``run(*arguments) -> (exit code, verdict)`` in a folder of its own, with nothing else to import."""
    shutil.copytree(HERE.parents[1] / "callbacks", tmp_path / "callbacks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT, tmp_path)
    # Also hides the project where it is installed: neither its finder nor its path is set up without site.
    elsewhere = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(elsewhere)}

    def start(*arguments: str) -> tuple[int, dict]:
        command = [sys.executable, "-S", PROJECT.name, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=HANGS_S)
        assert (tmp_path / "acceptance" / "verdict.json").exists(), done.stderr
        return done.returncode, json.loads((tmp_path / "acceptance" / "verdict.json").read_text())

    probe = "import importlib.util as u; print(u.find_spec('wotempo'), u.find_spec('callbacks').origin)"
    command = [sys.executable, "-S", "-c", probe]
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert found.split() == ["None", str(tmp_path / "callbacks" / "__init__.py")]
    return start


def test_it_is_short_and_has_no_protocol():
    lines = [line for line in PROJECT.read_text().split('"""', 2)[2].splitlines() if line.strip()]
    assert len(lines) <= 30
    for name in ("is_temporal", "shape_contract", "loss_terms", "temporal_fusion", "warp_history", "rebuild"):
        assert name not in PROJECT.read_text()


def test_a_healthy_run_is_accepted(run):
    code, verdict = run()
    assert (code, verdict["status"]) == (0, "accepted")
    found = {c["name"]: c for c in verdict["criteria"]}
    for name in ("complete", "checkpoint", "memory", "loss", "finite", "learning_rate"):
        assert found[name]["status"] == "pass", found[name]
    for name in DRIVING:
        assert (found[name]["status"], found[name]["message"]) == ("skipped", "single frame")
    assert found["shapes"]["message"] == "the module declares no shape_contract"


def test_a_broken_batch_leaves_evidence(run, tmp_path):
    code, verdict = run("nan")
    assert (code, verdict["exit_code"], verdict["status"]) == (10, 10, "rejected")
    assert "the first non-finite output is that of net.0" in verdict["reason"]
    (micro,) = torch.load(tmp_path / "failure" / "step.pt", weights_only=True)["micro_batches"]
    assert bool(torch.isnan(micro["batch"][0][0]).all())
    weights = torch.load(tmp_path / "failure" / "weights.pt", weights_only=True)["state_dict"]
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())
    assert (tmp_path / "failure" / "diagnosis.md").exists()
