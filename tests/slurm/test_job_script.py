"""What a job script does, with a few lines in the place of the training: signals, exit codes, requeueing, the log."""

from __future__ import annotations

import sys

import pytest
from clusters import wait_for

from wotempo.commands.job_script import LOG, SCRIPT, job_script
from wotempo.commands.machine import MachineConfig

# A process with a child in its group, as a data loader has; both tell what reaches them.
PROGRAM = """
import os, signal, sys, time
from wotempo.commands.preemption import Notice
child = os.fork() == 0
who = "child" if child else "main"
tell = lambda number, frame: print(who, signal.Signals(number).name, flush=True)
if child:
    signal.signal(signal.SIGUSR1, tell)
    time.sleep(60)
    os._exit(0)
notice = Notice()
with notice.listening(), notice.waiting():
    print("ready", flush=True)
    while not notice.received and not os.path.exists("finish"):
        time.sleep(0.05)
    if notice.received:
        print("saved", flush=True)
        notice.requeue()
        time.sleep(60)
sys.exit(17)
"""


@pytest.fixture
def submitted(cluster, tmp_path, monkeypatch):
    """``submit(**profile) -> (job, log)``"""
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable}\n{PROGRAM}")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    folder = tmp_path / "a run"
    folder.mkdir()

    def submit(**profile):
        machine = MachineConfig(**{"gpus": 0, "cpus": 1, "memory_gb": 1, "hours": 1.0} | profile)
        (folder / SCRIPT).write_text(job_script(machine, "toy", tmp_path, folder, ["seed=1"]))
        job = cluster.submit(folder / SCRIPT)
        wait_for(lambda: "ready" in read(), "the job's first words")
        return job

    def read():
        return (folder / LOG).read_text() if (folder / LOG).exists() else ""

    return submit, read


def test_the_exit_code_reaches_slurm(cluster, submitted, tmp_path):
    submit, read = submitted
    job = submit(setup=["export FIRST=1", 'echo "setup $FIRST"'])
    (tmp_path / "finish").touch()
    assert cluster.wait(job, "FAILED") == 17
    assert "setup 1" in read()


def test_a_warning_reaches_python_alone_and_requeues_once(cluster, submitted, tmp_path):
    submit, read = submitted
    job = submit()
    cluster.warn(job)
    cluster.wait(job, "RUNNING", restarts=1)
    wait_for(lambda: "restart 1" in read() and read().count("ready") == 2, "the second attempt")
    (tmp_path / "finish").touch()
    assert cluster.wait(job, "FAILED", restarts=1) == 17
    log = read()
    assert log.count("saved") == log.count("requeueing job") == 1
    assert "child" not in log
    assert log.index("restart 0") < log.index("SIGUSR1: this attempt ends here") < log.index("restart 1")


def test_there_is_an_end_to_requeueing(cluster, submitted):
    submit, read = submitted
    job = submit(max_restarts=0)
    cluster.warn(job)
    wait_for(lambda: "allows no more" in read(), "a word about the limit")
    assert cluster.look(job)[:2] == ("RUNNING", 0)
    cluster.call("scancel", job)
    cluster.wait(job, "CANCELLED")


@pytest.mark.slow
def test_the_end_of_the_time_limit_requeues(cluster, submitted, tmp_path):
    submit, read = submitted
    job = submit(hours=2 / 60, warn_seconds=20)
    cluster.wait(job, "RUNNING", restarts=1)
    assert read().count("saved") == 1
    (tmp_path / "finish").touch()
    assert cluster.wait(job, "FAILED", restarts=1) == 17
