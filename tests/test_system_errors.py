"""What the system refuses is found however deep a library hides it; anything else stays a fault of the program."""

from __future__ import annotations

import errno
import os
import re
import sys

import pytest
import torch

from wotempo.endings import CLOSED_PIPE, FAULT, INTERRUPTED, ended_by
from wotempo.errors import UserError
from wotempo.system_errors import LIMITS, PATHS, limit_reached, refusal, writing


def raised(*links: BaseException) -> BaseException:
    """The last of ``links``, each raised in the handling of the one before."""
    try:
        if len(links) > 1:
            try:
                raise raised(*links[:-1])
            except BaseException:
                raise links[-1]  # noqa: B904 - the undeclared context is what is tested
        raise links[0]
    except BaseException as error:
        return error


@pytest.mark.parametrize("number", [*LIMITS, *PATHS])
def test_every_error_of_the_table_names_its_file_and_a_way_out(number):
    text = refusal(OSError(number, os.strerror(number), "/data/file"))
    assert text is not None
    assert "/data/file" in text
    assert len(text.split(": ", 1)[1]) > 20
    assert (limit_reached(OSError(number, os.strerror(number))) is None) == (number in PATHS)


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device", "/runs/last.ckpt")


def hidden() -> RuntimeError:
    return RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 6119296 vs 6119192")


def test_a_full_disk_is_found_behind_what_libraries_raise():
    for error in (
        full(),
        raised(full(), hidden()),
        raised(full(), KeyError("a"), hidden()),
        RuntimeError("unable to write to file </torch_1>: No space left on device (28)"),
        OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
        ExceptionGroup("several", [ValueError(), full()]),
    ):
        assert "the disk is full" in str(refusal(error))
        assert "free space and start it again" in str(limit_reached(error))


def test_a_sentence_is_not_said_of_a_sentence(tmp_path):
    with pytest.raises(UserError) as told, writing(tmp_path / "a", tmp_path / "a.tmp"):
        raise full()
    assert limit_reached(told.value) == str(told.value)
    assert str(told.value).count("the disk is full") == 1
    assert limit_reached(UserError("a key is wrong: mend it")) is None


def test_memory_and_processes_are_limits_too():
    for error in (MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("Cannot allocate memory")):
        assert "the memory is used up" in str(limit_reached(error))
    assert "ulimit -n" in str(refusal(RuntimeError("unable to open shared memory object: Too many open files (24)")))
    assert "ulimit -u" in str(refusal(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")))


def test_what_a_program_tried_before_its_own_fault_is_no_cause():
    missing = FileNotFoundError(errno.ENOENT, "No such file or directory", "optional.json")
    assert refusal(raised(missing, KeyError("a fault"))) is None
    declared = RuntimeError("cannot open")
    declared.__cause__ = missing
    assert "optional.json" in str(refusal(declared))


def test_where_a_library_hides_the_reason_the_file_system_is_asked(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="enforce fail"), writing(tmp_path / "a", tmp_path / "a.tmp"):
        raise hidden()

    def refused(_: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", refused)
    refusal_of_quota = pytest.raises(UserError, match=r"the disk quota is used up \(.*a: cannot be written, Disk quota")
    with refusal_of_quota as told, writing(tmp_path / "a", tmp_path / "a.tmp"):
        raise hidden()
    assert isinstance(told.value.__cause__, RuntimeError)


def test_endings(tmp_path, capfd):
    assert ended_by(UserError("a key is wrong: mend it"), tmp_path) == UserError.exit_code
    assert ended_by(full(), tmp_path) == UserError.exit_code
    assert ended_by(KeyboardInterrupt(), tmp_path) == INTERRUPTED
    assert list(tmp_path.iterdir()) == []
    assert ended_by(raised(KeyError("bev")), tmp_path) == FAULT
    (kept,) = tmp_path.iterdir()
    assert "raise links[0]" in kept.read_text()
    told = capfd.readouterr().err
    assert "Traceback" not in told
    assert [line.split(":")[0] for line in told.splitlines()] == ["error", "error", "interrupted", "error"]
    assert re.search(r"KeyError in test_system_errors\.py:\d+: 'bev'; this is a fault of wotempo", told)
    assert str(kept) in told


def test_a_traceback_that_no_file_takes_is_printed(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("wotempo.endings._kept_in", lambda *_: None)
    assert ended_by(raised(KeyError("bev")), tmp_path) == FAULT
    assert "Traceback" in capfd.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_fault(tmp_path, capfd, monkeypatch):
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert ended_by(BrokenPipeError(errno.EPIPE, "Broken pipe")) == CLOSED_PIPE
        print("more")
    assert (tmp_path / "out").read_text() == ""
    monkeypatch.undo()
    assert capfd.readouterr().err == ""
