"""Labelling, killed with SIGKILL again and again, ends with the bytes of an undisturbed run."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

KILLS = 10
PATIENCE_S = 60.0


@pytest.fixture
def start(tmp_path) -> Callable[..., tuple[int, Callable[[], int]]]:
    """``start(*overrides) -> (pid of its process group, a function that waits for its exit code)``."""
    command = [sys.executable, str(Path(__file__).with_name("label_zygote.py"))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1, "cwd": tmp_path}
    with subprocess.Popen(command, **pipes) as zygote:
        assert zygote.stdout.readline() == "ready\n"

        def begin(*overrides: str) -> tuple[int, Callable[[], int]]:
            zygote.stdin.write(shlex.join(overrides) + "\n")
            return int(zygote.stdout.readline()), lambda: int(zygote.stdout.readline())

        yield begin
        zygote.stdin.close()


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def parts(folder: Path) -> int:
    return len(list(folder.parent.glob(f".{folder.name}.parts-*/*.npz")))


@pytest.mark.slow
def test_ten_kills_change_no_byte(town, start, tmp_path):
    common = [f"data.root={town}", "data.kind=navsim", f"data.anchors={town / 'anchors.npy'}", "progress_bar=false"]
    common += ["scenes_per_part=1", "splits=[train,test]"]
    whole, killed = tmp_path / "whole" / "labels", tmp_path / "killed" / "labels"
    assert start(*common, f"output={whole}", "workers=1")[1]() == 0

    moments = random.Random(0)
    kills = 0
    for number in range(3 * KILLS):
        group, wait = start(*common, f"output={killed}", f"workers={2 if number in (3, 7) else 1}")
        wanted = parts(killed) + moments.randint(0, 4)  # 0: while it still reads
        patience = time.monotonic() + PATIENCE_S
        while parts(killed) < wanted and not killed.exists() and time.monotonic() < patience:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.02))
        os.killpg(group, signal.SIGKILL)
        assert wait() in (-signal.SIGKILL, 0)
        while alive(group):  # the kernel is still burying its members
            time.sleep(0.01)
        if killed.exists():  # it was over first
            assert content(killed) == content(whole)
            shutil.rmtree(killed)
            continue
        kills += 1
        if kills == KILLS:
            break
    assert kills == KILLS
    kept = parts(killed)
    code = start(*common, f"output={killed}", "workers=1")[1]()
    assert (code, kept > 0) == (0, True)
    assert content(killed) == content(whole)
    assert [path.name for path in killed.parent.iterdir()] == ["labels"], "nothing is left beside the table"
