"""Preparation that is ended again and again goes on each time, and ends with the bytes of an undisturbed one."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys

from test_prepare_together import bare, config_of, content

from callbacks import Preempted
from wotempo.preparation.prepare import prepare_data
from wotempo.runs.preemption import StopSignal

assert bare  # a fixture

ENDS = [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1] * 4
FILES = 3  # that take their names before an attempt ends: the rest of the preparation needs more attempts


def attempt(workspace, number: int | None) -> None:
    """Prepare; with a signal, send it to this process when a file is about to take its name for the third time."""
    named = 0

    def look(event: str, arguments: tuple) -> None:
        nonlocal named
        if event == "os.rename" and str(workspace) in str(arguments[1]):
            named += 1
            if named == FILES:
                os.kill(os.getpid(), number)

    if number is not None:
        sys.addaudithook(look)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    stop = StopSignal()
    try:
        with stop.listening():
            prepare_data(config_of(workspace))
    except Preempted:
        os._exit(15)


def test_ten_ends_change_no_byte(bare, tmp_path):
    context = multiprocessing.get_context("fork")

    def run(workspace, number=None) -> int:
        process = context.Process(target=attempt, args=(workspace, number))
        process.start()
        process.join(300)
        assert process.exitcode is not None
        return process.exitcode

    undisturbed = shutil.copytree(bare, tmp_path / "undisturbed")
    assert run(undisturbed) == 0
    codes = []
    for number in ENDS:
        codes.append(run(bare, number))
        if codes[-1] == 0:
            break
        assert codes[-1] == (15 if number == signal.SIGUSR1 else -number)
    assert len(codes) > 10, "the preparation was ended ten times, each time further on"
    assert run(bare) == 0
    assert content(bare) == content(undisturbed)
    left = [path for path in bare.rglob(".*") if path.is_file()]
    assert left == []
