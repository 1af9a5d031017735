"""Labelling, killed with SIGKILL again and again, ends with the bytes of an undisturbed run."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wotempo.city import build_city, city_config
from wotempo.city.futures import simulate_futures
from wotempo.navsim import write_anchors

KILLS = 10
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("killed") / "town"
    build_city(root, city_config("micro"))
    return root


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
    anchors = tmp_path / "anchors.npy"
    write_anchors(anchors, simulate_futures(city_config("micro"), 64, seed=0))
    common = [f"data.root={town}", "data.preset=micro", f"data.anchors={anchors}", "progress_bar=false"]
    common += ["scenes_per_part=1", "stages=[train,val,test]"]
    whole, killed = tmp_path / "whole" / "labels", tmp_path / "killed" / "labels"
    began = time.monotonic()
    assert start(*common, f"output={whole}", "workers=1")[1]() == 0
    seconds = time.monotonic() - began

    moments = random.Random(0)
    seen = []
    for number in range(KILLS):
        workers = 2 if number in (3, 7) else 1
        group, wait = start(*common, f"output={killed}", f"workers={workers}")
        before = parts(killed)
        if number % 2:  # at work, for sure
            patience = time.monotonic() + PATIENCE_S
            while parts(killed) == before and time.monotonic() < patience:
                time.sleep(0.005)
        time.sleep(moments.uniform(0, seconds / KILLS))
        os.killpg(group, signal.SIGKILL)
        assert wait() == -signal.SIGKILL
        while alive(group):  # the kernel is still burying its members
            time.sleep(0.01)
        assert not killed.exists(), "the work was over before the kill: nothing is shown"
        seen.append(parts(killed))
    assert seen == sorted(seen)
    assert seen[-1] > seen[0], "finished parts are kept"
    assert start(*common, f"output={killed}", "workers=1")[1]() == 0
    assert content(killed) == content(whole)
    assert [path.name for path in killed.parent.iterdir()] == ["labels"], "nothing is left beside the table"
