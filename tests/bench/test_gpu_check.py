"""The check for a GPU, rehearsed on the CPU: it runs from the checkout alone, with few packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hidden_packages import hide

ROOT = Path(__file__).resolve().parents[2]
NOT_NEEDED = (
    "hydra", "omegaconf", "scipy", "shapely", "pyarrow", "pandas", "geopandas", "pyogrio", "numba", "cv2", "sklearn",
    "wandb", "matplotlib", "joblib", "nuplan", "navsim", "pytest",
)  # fmt: skip


def check(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    hide(tmp_path, NOT_NEEDED)
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [str(ROOT / "scripts/bench/gpu_check.sh"), *arguments]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_rehearsal(tmp_path):
    done = check(tmp_path, "--device", "cpu", "--tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu_check.json").read_text())
    parts = ["same as CPU, convgru", "trains, 32-true", "trains, bf16-mixed", "packed, 32-true", "push", "guards"]
    assert list(found["parts"]) == parts
    assert not [name for name, figures in found["parts"].items() if "error" in figures]
    row = found["parts"]["packed, 32-true"]
    assert row["allocated_gb"] == pytest.approx(row["counted_gb"], rel=0.05)  # the whole step, by torch's own engine
    assert "6 of 6 parts as expected" in done.stdout


def test_without_a_gpu_it_says_so(tmp_path):
    done = check(tmp_path, "--device", "cuda")
    if done.returncode != 2:
        pytest.skip("there is a GPU")
    assert done.stdout == (
        "there is no GPU here: run this where torch.cuda.is_available(), or rehearse with --device cpu --tiny\n"
    )
