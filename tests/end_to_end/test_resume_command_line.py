"""SIGKILL, then the same command line again: it finds its run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from small_run import SMALL

pytestmark = pytest.mark.slow
PATIENCE_S = 300


def test_the_same_command_continues_the_killed_run(workspace, tmp_path):
    command = [sys.executable, "-m", "wotempo.commands.train", "experiment=convgru_1epoch", f"workspace={workspace}",
               *SMALL, "profile=smoke", "trainer.limit_train_batches=12",
               "trainer.checkpoint_every_n_steps=2"]  # fmt: skip
    run = subprocess.Popen(command, cwd=tmp_path, start_new_session=True)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (files := list(tmp_path.glob("runs/*/*/checkpoints/step-*.ckpt"))):
            assert time.monotonic() < deadline
            assert run.poll() is None
            time.sleep(0.02)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    folder = files[0].parents[1]
    assert json.loads((folder / "verdict.json").read_text())["status"] == "incomplete"
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert again.returncode == 0, again.stderr
    assert "continued at step" in again.stdout
    assert list(folder.parent.iterdir()) == [folder]
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["status"] == "accepted"
    assert verdict["facts"]["resumed"][0]["step"] >= 2
