"""Locks of dead nodes, of other users, and of file systems that have none."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest
from patience import wait_for

from wotempo.errors import UserError
from wotempo.navsim import lock
from wotempo.navsim.files import may_write
from wotempo.navsim.lock import is_locked, locked


@pytest.fixture
def held(tmp_path) -> Path:
    """A lock that nothing here frees, as a file server keeps that of a node which died."""
    path = tmp_path / ".lock"
    path.write_text("process 71 on node9")
    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield path
    os.close(descriptor)


def test_a_dead_nodes_lock_is_named_and_freed_by_removing_its_file(held, monkeypatch, capsys):
    monkeypatch.setattr(lock, "LOOK_S", (0.001, 0.001))
    monkeypatch.setattr(lock, "TELL_EVERY_S", 0.0)
    entered = []

    def wait() -> None:
        with locked(held, "the cache", wait=True):
            entered.append(held.read_text())

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    told = ""

    def has_way_out() -> bool:
        nonlocal told
        told += capsys.readouterr().out
        return f"if that process or its node is dead: rm {held}" in told

    wait_for(has_way_out, "the way out")
    assert "waiting: the cache is being written by process 71 on node9\n" in told
    assert not entered
    held.unlink()
    thread.join(60)
    assert entered == [f"process {os.getpid()} on {lock.socket.gethostname()}"]
    assert not held.exists()


def test_one_that_was_freed_by_hand_leaves_the_next_holder_its_file(tmp_path):
    path = tmp_path / ".lock"
    with locked(path, "the cache"):
        path.unlink()
        path.write_text("of another holder")
    assert path.read_text() == "of another holder"


def test_a_killed_holders_file_is_used_again(tmp_path):
    (tmp_path / ".lock").write_text("process 71 on node9")
    assert not is_locked(tmp_path / ".lock")
    with locked(tmp_path / ".lock", "the cache"):
        assert is_locked(tmp_path / ".lock")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_locks(tmp_path, monkeypatch, number):
    def none(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    with (
        pytest.raises(UserError, match=r"the file system has no locks .*; mount it with flock, or write elsewhere"),
        locked(tmp_path / ".lock", "the cache", wait=True),
    ):
        pytest.fail("held")
    assert not is_locked(tmp_path / ".lock")


@pytest.fixture
def foreign(monkeypatch):
    """Files of another user: they open for reading alone. (Root may open everything.)"""
    real = os.open

    def refuse(path, flags, *rest):
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)


def test_the_run_of_another_user(held, tmp_path, request):
    (tmp_path / "left").touch()
    request.getfixturevalue("foreign")
    assert is_locked(held)
    assert not is_locked(tmp_path / "left")
    with (
        pytest.raises(UserError, match=r"the cache cannot be written \(Read-only .*data.cache"),
        locked(tmp_path / "left", "the cache"),
    ):
        pytest.fail("held")


def test_a_folder_that_is_not_there_may_be_made_where_its_parent_may_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) == tmp_path)
    (tmp_path / "full").mkdir()
    assert may_write(tmp_path / "not" / "there")
    assert not may_write(tmp_path / "full" / "there")
