"""Killed with SIGKILL 25 times, at random moments and inside of checkpoint writes, a run is the undisturbed one."""

from __future__ import annotations

import json
import random
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import SMALL
from test_resume import assert_same
from train_zygote import STEPS

pytestmark = pytest.mark.slow
KILLS, EVERY = 25, 2
RUN = ("experiment=convgru_1epoch", *SMALL, "trainer.max_epochs=2", f"trainer.checkpoint_every_n_steps={EVERY}",
       "trainer.ema=0.9", "trainer.threads=1", "fusion.frame_dropout=0.3",
       "acceptance.loss.allow_inconclusive=true")  # fmt: skip


@pytest.fixture
def attempt(workspace, tmp_path) -> Callable[[int, Path], int]:
    """``attempt(moment, run_dir) -> exit code``; killed at that moment, unless it is 0 or behind the end."""
    command = [sys.executable, str(Path(__file__).with_name("train_zygote.py"))]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, **pipes, stderr=log, cwd=tmp_path) as zygote:
        assert zygote.stdout is not None
        assert zygote.stdin is not None
        assert zygote.stdout.readline() == "ready\n"

        def begin(moment: int, run_dir: Path) -> int:
            assert zygote.stdin is not None
            assert zygote.stdout is not None
            line = shlex.join([str(moment), f"run_dir={run_dir}", f"workspace={workspace}", *RUN])
            zygote.stdin.write(line + "\n")
            return int(zygote.stdout.readline())

        yield begin
        zygote.stdin.close()


def steps_of(run_dir: Path) -> list[tuple[int, float, tuple[str, ...]]]:
    file = run_dir.with_name(f"{run_dir.name}.{STEPS}")
    rows = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return [(int(step), float(loss), tuple(tokens)) for step, loss, *tokens in rows]


def verdict_of(run_dir: Path) -> dict[str, Any]:
    return {**json.loads((run_dir / "verdict.json").read_text()), "run_dir": run_dir}


def saved_step(run_dir: Path) -> int:
    """The latest step on the disk. Every file that bears its name is whole."""
    files = (run_dir / "checkpoints").glob("*.ckpt")
    return max((torch.load(f, weights_only=True)["global_step"] for f in files if f.name != "best.ckpt"), default=0)


def test_twenty_five_kills(attempt, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert attempt(0, whole) == 0, (tmp_path / "log").read_text()[-2000:]
    expected = {step: (loss, tokens) for step, loss, tokens in steps_of(whole)}

    moments = random.Random(0)
    reached, lost, seen = 0, [], 0
    for _ in range(KILLS):
        assert attempt(moments.randint(1, 20), killed) == -signal.SIGKILL
        assert verdict_of(killed)["status"] == "incomplete" if (killed / "verdict.json").exists() else seen == 0
        done = steps_of(killed)[seen:]
        if done:
            assert done[0][0] == reached, "it went on from the newest checkpoint"
            lost.append(done[-1][0] + 1 - saved_step(killed))
        seen += len(done)
        reached = saved_step(killed)
    assert reached < len(expected)
    assert attempt(0, killed) == 0, (tmp_path / "log").read_text()[-2000:]

    assert max(lost) <= EVERY, "no more is lost than what was not yet saved"
    found = {step: (loss, tokens) for step, loss, tokens in steps_of(killed)}
    assert_same(expected, found, verdict_of(whole), verdict_of(killed))
    assert not list(killed.rglob("*.tmp"))
