"""SIGKILL, then the same command line again: it finds its run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from patience import HANGS_S
from site_hook import with_hook
from small_run import SMALL

pytestmark = pytest.mark.slow
# When the second checkpoint is about to take its name: a signal from outside may come when the run is over.
KILL = """
import os, signal, sys
taken = []
def look(event, arguments):
    if event == "os.rename" and "/step-" in str(arguments[1]):
        taken.append(arguments[1])
        if len(taken) == 2:
            os.kill(0, signal.SIGKILL)
sys.addaudithook(look)
"""


def test_the_same_command_continues_the_killed_run(workspace, tmp_path):
    command = [sys.executable, "-m", "wotempo", "train", "experiment=convgru_1epoch", f"workspace={workspace}",
               *SMALL, "profile=smoke", "trainer.max_epochs=1", "trainer.limit_train_batches=12",
               "trainer.checkpoint_every_n_steps=2"]  # fmt: skip
    environment = with_hook(tmp_path / "hook", KILL, dict(os.environ))
    killed = subprocess.run(
        command, cwd=tmp_path, env=environment, start_new_session=True, timeout=HANGS_S, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    (file,) = tmp_path.glob("runs/*/*/checkpoints/step-*.ckpt")
    folder = file.parents[1]
    assert json.loads((folder / "verdict.json").read_text())["status"] == "incomplete"
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=HANGS_S, check=False)
    assert again.returncode == 0, again.stderr
    assert "continued at step" in again.stdout
    assert list(folder.parent.iterdir()) == [folder]
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["status"] == "accepted"
    assert verdict["facts"]["resumed"][0]["step"] >= 2
