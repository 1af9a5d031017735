"""Room on disks: what certainly does not fit is refused before it is made, in one sentence with the way out."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hydra import compose

from wotempo.config.composition import loaded
from wotempo.config.schema import RunConfig, typed
from wotempo.data.build import LogWork, Task, build_logs, build_records
from wotempo.data.disk_room import lacking_room
from wotempo.data.store import RecordStore
from wotempo.doctor.storage import check_checkpoints
from wotempo.errors import UserError
from wotempo.experiment import run as experiment
from wotempo.preparation.limits import check_checkpoint_room, checkpoint_room
from wotempo.records.reading import read_verdict

GB = 10**9


def disk(monkeypatch, free: float, files: int = 10**6, blocks: int = 10**9, kept_back: float = 0) -> None:
    """A file system with so many bytes and inodes left, of which root alone may use ``kept_back``."""
    state = SimpleNamespace(
        f_bavail=(free - kept_back) // 1000,
        f_bfree=free // 1000,
        f_frsize=1000,
        f_blocks=blocks,
        f_files=files and 10**7,
        f_favail=files,
    )
    monkeypatch.setattr(os, "statvfs", lambda _: state)


@pytest.mark.parametrize(
    ("of_disk", "words"),
    [
        ({"free": 2 * GB}, None),
        ({"free": 0.9 * GB}, "they take at least 1.00 GB, and / has 0.90 GB free"),
        ({"free": 2 * GB, "files": 4}, "they are at least 5 files, and / has 4 inodes left"),
        ({"free": 2 * GB, "files": 0}, None),  # not counted there
        ({"free": 0, "blocks": 0}, None),  # a file system that does not say
        ({"free": 1.1 * GB, "kept_back": 0.2 * GB}, "and / has 0.90 GB free"),
    ],
)
def test_bytes_and_inodes(monkeypatch, of_disk, words):
    disk(monkeypatch, **of_disk)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = lacking_room("they", Path("/"), GB, 5)
    assert found is None if words is None else words in (found or "")


def test_a_limit_on_a_files_size(monkeypatch):
    disk(monkeypatch, 9 * GB)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10**8, 10**8))
    assert lacking_room("checkpoints", Path("/"), GB, 1, largest=2e8) == (
        "checkpoints take 0.20 GB each, and a file may have 0.10 GB (ulimit -f)"
    )
    assert lacking_room("checkpoints", Path("/"), GB, 1, largest=5e7) is None


def test_caches_without_room_are_not_begun(tmp_path, monkeypatch):
    dtype = np.dtype([("bytes", "u1", (10**6,))])
    store = RecordStore(tmp_path, "frames", "hash", dtype)
    made: list[int] = []

    def compute(number: int) -> np.ndarray:
        made.append(number)
        return np.zeros((), dtype)

    tasks = [Task("train/log", f"t{i}", "key", i) for i in range(3)]

    def build(some: list[Task], **options: bool):
        work = LogWork("train/log", some)
        return build_logs(store, lambda of: build_records(store, of.items, compute), [work], len(some), **options)

    build(tasks[:1])
    disk(monkeypatch, 1.5 * 10**6)
    sentence = r"the missing ones of 3 frames take at least 2\.00 MB, and .* has 1\.50 MB free: workspace=<folder on"
    with pytest.raises(UserError, match=sentence):
        build([*tasks[1:], tasks[0]])
    assert made == [0]
    disk(monkeypatch, 0)
    assert build(tasks[:1]).reused == 1  # nothing is to be written
    assert build(tasks[:2], certain=False).built == 1  # what may be left out is tried


@pytest.fixture(scope="module")
def config() -> RunConfig:
    with loaded():
        return typed(compose("train", overrides=["run_dir=unset", "trainer=cpu"]))


def test_checkpoints_at_the_start_and_in_doctor(config, tmp_path, monkeypatch):
    config.run_dir = str(tmp_path / "run")
    room = checkpoint_room(config)
    assert room.size == pytest.approx(33.1e6, rel=0.05)  # a file of this model
    assert (room.kept, room.most) == (2, 5 * room.size)
    for free, status in ((6 * room.size, "ok"), (3 * room.size, "warn"), (1.9 * room.size, "fail")):
        disk(monkeypatch, free)
        found = check_checkpoints(room, tmp_path / "run")
        assert (found.status, found.fix != "") == (status, status != "ok")
    with pytest.raises(UserError, match=r"the checkpoints take at least 0\.06 GB, and .* free some space, or give run"):
        check_checkpoint_room(config)
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    for name in ("best", "last"):  # an attempt before: its files make room for those that come
        (tmp_path / "run" / "checkpoints" / f"{name}.ckpt").write_bytes(bytes(room.size))
    check_checkpoint_room(config)


def test_a_run_without_room_ends_before_its_preparation(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "prepare_data", lambda _: pytest.fail("prepared"))
    disk(monkeypatch, 10**7)
    with loaded():
        raw = compose("train", overrides=[f"run_dir={tmp_path / 'run'}", "trainer=cpu"])
    with pytest.raises(UserError, match="the checkpoints take at least"):
        experiment.work(raw)
    assert "the checkpoints take at least" in read_verdict(tmp_path / "run")["reason"]
