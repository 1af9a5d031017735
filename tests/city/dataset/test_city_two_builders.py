"""Two runs that want the same town, and workers whose run was killed."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import threading

from patience import HANGS_S, wait_for

from wotempo.city.dataset import build
from wotempo.city.dataset.config import city_config


def test_the_second_builder_waits_and_finds_the_town(tmp_path, monkeypatch):
    config = city_config("micro", 0, False)
    inside, made, second_waits = threading.Event(), [], threading.Event()
    flock = fcntl.flock

    def told(descriptor, operation):
        if inside.is_set():
            second_waits.set()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", told)

    def slow(root, config, workers, progress):
        assert not made, "two at once"
        made.append(root)
        inside.set()
        assert second_waits.wait(HANGS_S)
        (root / "city.json").write_bytes(build._description(config))
        made.pop()

    monkeypatch.setattr(build, "_build", slow)
    first = threading.Thread(target=build.build_city, args=(tmp_path / "town", config))
    first.start()
    assert inside.wait(HANGS_S)
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


def gone(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().split()[2] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_no_worker_outlives_a_killed_run():
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    parent = context.Process(target=_parent, args=(theirs,))
    parent.start()
    assert ours.poll(HANGS_S)
    worker = ours.recv()
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    try:
        wait_for(lambda: gone(worker), "the end of a worker that has lost its parent")
    finally:
        if not gone(worker):
            os.kill(worker, signal.SIGKILL)
