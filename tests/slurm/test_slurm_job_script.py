"""What Slurm does with a job script: signals, exit codes, requeueing, the log."""

from __future__ import annotations

import sys

import pytest
from defaults import machine
from patience import wait_for

from wotempo.capacity.job_script import LOG, SCRIPT, job_script

# In the place of the training, and quick: leaves as wotempo.runs.preemption does. With a child in its process
# group, as the workers of a data loader are; both tell what reaches them, each line in one write to the end of the log
# (`print` may write a line in pieces, between which those of the other process come).
PROGRAM = """
import os, signal, subprocess, sys, time
told = []
child = os.fork() == 0
who = "child" if child else "main"
def tell(line):
    os.write(1, f"{line}\\n".encode())
def take(number, frame):
    told.append(number)
    tell(f"{who} {signal.Signals(number).name}")
for name in ("SIGUSR1", "SIGTERM"):
    signal.signal(getattr(signal, name), take)
tell(f"{who} ready")
while not told and not os.path.exists("finish"):
    time.sleep(0.05)
if told == [signal.SIGUSR1] and not child:
    tell("saved")
    subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]])
    while signal.SIGTERM not in told:
        time.sleep(0.05)
os._exit(0 if child else 17)
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
        asked = machine(**{"gpus": 0, "cpus": 1, "memory_gb": 1, "hours": 1.0} | profile)
        (folder / SCRIPT).write_text(job_script(asked, "toy", tmp_path, folder, ["seed=1"]))
        job = cluster.submit(folder / SCRIPT)
        cluster.wait(job, "RUNNING")
        wait_for(lambda: "main ready" in read(), "the job's first words")
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


def test_a_warning_reaches_python_alone(cluster, submitted, tmp_path):
    submit, read = submitted
    job = submit()
    cluster.warn(job)
    cluster.wait(job, "RUNNING", restarts=1)
    wait_for(lambda: "restart 1" in read() and read().count("main ready") == 2, "the second attempt")
    (tmp_path / "finish").touch()
    assert cluster.wait(job, "FAILED", restarts=1) == 17
    log = read()
    assert log.count("main SIGUSR1") == log.count("saved") == 1
    assert "child SIGUSR1" not in log
    assert log.index("restart 0") < log.index("saved") < log.index("restart 1")


@pytest.mark.parametrize("how", ["preempt", "cancel"])
def test_python_hears_of_preemption_and_cancellation_by_sigterm(how, cluster, submitted, tmp_path):
    submit, read = submitted
    job = submit()
    if how == "preempt":
        cluster.preempt(job)
        cluster.wait(job, "RUNNING", restarts=1)
        (tmp_path / "finish").touch()
        assert cluster.wait(job, "FAILED", restarts=1) == 17
    else:
        cluster.call("scancel", job)
        cluster.wait(job, "CANCELLED")
    assert read().count("main SIGTERM") == 1
    assert "SIGUSR1" not in read()


def test_the_end_of_the_time_limit_requeues(cluster, submitted, tmp_path):
    submit, read = submitted
    job = submit(hours=2 / 60, warn_seconds=20)
    cluster.pass_time(1.75)
    cluster.wait(job, "RUNNING", restarts=1)
    assert read().count("saved") == 1
    (tmp_path / "finish").touch()
    assert cluster.wait(job, "FAILED", restarts=1) == 17
