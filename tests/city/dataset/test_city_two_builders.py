"""Two runs that want the same town, and workers whose run was killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

from wotempo.city.dataset import build
from wotempo.city.dataset.config import city_config


def test_the_second_builder_waits_and_finds_the_town(tmp_path, monkeypatch):
    config = city_config("micro", 0, False)
    inside, made = threading.Event(), []

    def slow(root, config, workers, progress):
        assert not made, "two at once"
        made.append(root)
        inside.set()
        time.sleep(0.3)
        (root / "city.json").write_bytes(build._description(config))
        made.pop()

    monkeypatch.setattr(build, "_build", slow)
    first = threading.Thread(target=build.build_city, args=(tmp_path / "town", config))
    first.start()
    assert inside.wait(10)
    build.build_city(tmp_path / "town", config)  # returns when the first is through, having done nothing
    first.join()
    assert not (tmp_path / ".town.lock").exists()


def _parent(pipe):
    worker = multiprocessing.get_context("spawn").Process(target=_worker)
    worker.start()
    pipe.send(worker.pid)
    worker.join()


def _worker():
    build._start_worker()
    threading.Event().wait()


def test_no_worker_outlives_a_killed_run():
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    parent = context.Process(target=_parent, args=(theirs,))
    parent.start()
    assert ours.poll(60)
    worker = ours.recv()
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        with open(f"/proc/{worker}/stat") as file:
            if file.read().split()[2] == "Z":
                return
        time.sleep(0.05)
    os.kill(worker, signal.SIGKILL)
    raise AssertionError("the worker lives on without its parent")
