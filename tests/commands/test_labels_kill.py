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
from contextlib import suppress
from pathlib import Path

import pytest
from label_zygote import MOMENT
from patience import wait_for
from site_hook import with_hook

KILLS = 10
# What a killed process was about to do: read a log, write a part (its file is opened, and then takes its name).
# ``due`` appears at the n-th of these, 0 being the first log; the group is killed from outside some milliseconds later,
# in the middle of anything, but before the second next one, so that it never is over first because the test is slow.
HOOK = f"""
import os, signal, sys
seen = 0
def look(event, arguments):
    global seen
    if event not in ("open", "os.rename") or "{MOMENT}" not in os.environ or not os.environ["{MOMENT}"]:
        return
    moment, due = os.environ["{MOMENT}"].split(os.pathsep)
    path = str(arguments[1 if event == "os.rename" else 0])
    reads = event == "open" and path.endswith(".pkl")
    writes = ".parts-" in path and (event == "os.rename" or "w" in str(arguments[1]))
    if not (reads and moment == "0" or writes):
        return
    seen += 1
    if seen == max(int(moment), 1):
        os.close(os.open(due, os.O_CREAT | os.O_WRONLY))
    elif seen == max(int(moment), 1) + 2:
        os.killpg(0, signal.SIGKILL)
sys.addaudithook(look)
"""


@pytest.fixture
def start(tmp_path) -> Callable[..., tuple[int, Callable[[], int]]]:
    """``start(moment, *overrides) -> (pid of its process group, a function that waits for its exit code)``."""
    command = [sys.executable, str(Path(__file__).with_name("label_zygote.py"))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1, "cwd": tmp_path}
    environment = with_hook(tmp_path / "hook", HOOK, dict(os.environ))
    with subprocess.Popen(command, **pipes, env=environment) as zygote:
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
    assert start("", *common, f"output={whole}", "workers=1")[1]() == 0

    moments = random.Random(0)
    kills = 0
    for number in range(3 * KILLS):
        moment = moments.randint(0, 8) if kills < KILLS - 1 else 8  # behind the last one, some parts are kept
        due = tmp_path / f"due{number}"
        at = f"{moment}{os.pathsep}{due}"
        group, wait = start(at, *common, f"output={killed}", f"workers={2 if number in (3, 7) else 1}")
        wait_for(lambda due=due: due.exists() or killed.exists(), "the moment, or the end", every=0.002)
        time.sleep(moments.uniform(0, 0.02))
        with suppress(ProcessLookupError):  # it was over first
            os.killpg(group, signal.SIGKILL)
        assert wait() in (-signal.SIGKILL, 0)
        wait_for(lambda group=group: not alive(group), "the end of its members")
        if killed.exists():  # it was over first
            assert content(killed) == content(whole)
            shutil.rmtree(killed)
            continue
        kills += 1
        if kills == KILLS:
            break
    assert kills == KILLS
    kept = parts(killed)
    code = start("", *common, f"output={killed}", "workers=1")[1]()
    assert (code, kept > 0) == (0, True)
    assert content(killed) == content(whole)
    assert [path.name for path in killed.parent.iterdir()] == ["labels"], "nothing is left beside the table"
