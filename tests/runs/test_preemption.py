"""Being told to go: when the run is left, and what is asked of Slurm."""

from __future__ import annotations

import os
import signal
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from lightning.pytorch.trainer.states import TrainerFn

from callbacks import Preempted
from callbacks.verdict.report import INCOMPLETE
from wotempo.runs.preemption import MAX_RESTARTS, StopSignal
from wotempo.training.checkpoints import StepCheckpoint


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """In a job that may be requeued twice; ``asked()`` are the arguments that scontrol got."""
    program, log = tmp_path / "scontrol", tmp_path / "asked"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{log}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "1", MAX_RESTARTS: "2"}.items():
        monkeypatch.setenv(name, value)
    return lambda: log.read_text().splitlines() if log.exists() else []


def told(number=signal.SIGUSR1):
    os.kill(os.getpid(), number)


def test_while_data_are_prepared_the_run_ends_at_once(asked):
    stop_signal = StopSignal()
    with pytest.raises(Preempted) as end, stop_signal.listening():
        told()
    assert (end.value.code, asked()) == (INCOMPLETE, ["requeue 7"])
    assert end.value.reason.startswith("SIGUSR1")
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_while_it_trains_it_goes_on_until_somebody_looks_and_is_requeued_once(asked):
    stop_signal = StopSignal()
    with stop_signal.listening():
        with stop_signal.waiting():
            told()
            told()
            assert (stop_signal.received, asked()) == ("SIGUSR1", [])
        stop_signal.requeue()
        stop_signal.requeue()
        with pytest.raises(Preempted):
            stop_signal.leave_if_received()
    assert asked() == ["requeue 7"]


@pytest.mark.parametrize(
    ("variable", "value", "word"), [("SLURM_RESTART_COUNT", "2", "allows no more"), ("PATH", "", "no scontrol")]
)
def test_a_job_that_is_not_requeued_says_how_to_go_on(variable, value, word, asked, monkeypatch, capfd):
    monkeypatch.setenv(variable, value)
    with pytest.raises(Preempted), StopSignal().listening():
        told()
    printed = "".join(capfd.readouterr())
    assert word in printed
    assert "make resume" in printed
    assert asked() == []


def test_outside_of_such_a_job_nothing_is_requeued(asked, monkeypatch):
    monkeypatch.delenv(MAX_RESTARTS)
    with pytest.raises(Preempted), StopSignal().listening():
        told()
    assert asked() == []


def test_who_listened_before_requeues_in_its_own_way(asked):
    """submitit does, on SIGUSR2."""
    heard = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    try:
        with pytest.raises(Preempted), StopSignal().listening():
            told(signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert (heard, asked()) == ([signal.SIGUSR2], [])


@pytest.mark.parametrize("received", ["", "SIGUSR1"])
def test_a_validation_is_left_between_two_of_its_batches(received, tmp_path):
    stop_signal = StopSignal()
    stop_signal.received = received
    steps = StepCheckpoint(tmp_path, stop_signal=stop_signal)
    trainer = SimpleNamespace(world_size=1, state=SimpleNamespace(fn=TrainerFn.FITTING))
    with pytest.raises(Preempted) if received else nullcontext():
        steps.on_validation_batch_end(trainer, None, None, None, 3)


def test_a_forked_worker_that_is_told_leaves_that_to_its_parent(asked):
    with StopSignal().listening():
        worker = os.fork()
        if worker == 0:
            told()
            os._exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 5
    assert asked() == []
