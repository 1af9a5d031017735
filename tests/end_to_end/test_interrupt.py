"""Ctrl-C while a town is made: one line, the exit code of shells, and nobody goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from patience import HANGS_S, wait_for

pytestmark = pytest.mark.slow


def group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_ctrl_c_while_the_town_is_made(tmp_path):
    command = [sys.executable, "-m", "wotempo", "train", "data.preset=tiny", f"workspace={tmp_path}/workspace",
               f"hydra.run.dir={tmp_path}/run", "trainer.progress_bar=false"]  # fmt: skip
    run = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background inherit "ignored"
    )
    try:
        wait_for(lambda: any(tmp_path.glob("workspace/town-*/sensor_blobs/*/*/*/*.jpg")), "workers at work")
        os.killpg(run.pid, signal.SIGINT)
        _, errors = run.communicate(timeout=HANGS_S)
        assert run.returncode == 130
        assert "interrupted" in errors
        assert len(errors.strip().splitlines()) <= 3, errors
        wait_for(lambda: group_is_gone(run.pid), "the end of all workers")
    finally:
        if not group_is_gone(run.pid):
            os.killpg(run.pid, signal.SIGKILL)
