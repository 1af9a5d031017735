"""A training under Slurm: warned, preempted, and still one run with one verdict in one folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from patience import wait_for
from site_hook import with_hook
from small_run import MICRO, NETWORK

pytestmark = pytest.mark.slow
RUN = ("experiment=convgru_1epoch", *MICRO, *NETWORK, "trainer.run_length=2", "trainer.max_epochs=2",
       "trainer.limit_val_batches=1", "trainer.log_every_n_steps=1", "tracking=off", "acceptance=smoke")  # fmt: skip
MACHINE = ("machine.gpus=0", "machine.cpus=1", "machine.memory_gb=1", "machine.hours=1", "machine.batch_size=2")
# The first two attempts stop behind some rows of metrics until a signal comes: told too late, they would be over.
STAY = """
import os, select, signal, sys
ends, rows, restarts = os.pipe(), 0, int(os.environ.get("SLURM_RESTART_COUNT", 0))
def look(event, arguments):
    global rows
    if event == "open" and str(arguments[0]).endswith("metrics.csv") and arguments[1] == "a":
        rows += 1
        if rows == (4, 10)[restarts]:
            select.select([ends[0]], [], [])
if "SLURM_JOB_ID" in os.environ and restarts < 2:
    for end in ends:
        os.set_blocking(end, False)
    signal.set_wakeup_fd(ends[1])
    sys.addaudithook(look)
"""


@pytest.fixture(scope="module")
def workspace(micro_workspace, tmp_path_factory) -> Path:
    return shutil.copytree(micro_workspace, tmp_path_factory.mktemp("copy") / "workspace")


def rows(folder: Path) -> int:
    file = next(folder.glob("metrics/**/metrics.csv"), None)
    return len(file.read_text().splitlines()) if file else 0


def verdict(folder: Path) -> dict:
    return json.loads((folder / "verdict.json").read_text())


def test_warned_then_preempted_it_ends_as_one_accepted_run(cluster, workspace, tmp_path):
    environment = with_hook(tmp_path / "hook", STAY, cluster.environment)

    def submit() -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "wotempo", "slurm", *RUN, *MACHINE, f"workspace={workspace}"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)  # fmt: skip

    done = submit()
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs" / "convgru_1epoch").iterdir()
    job = (folder / "job.id").read_text().split()[0]
    wait_for(lambda: rows(folder) > 2, "steps of the first attempt")
    cluster.warn(job)
    wait_for(lambda: verdict(folder)["reason"].startswith("SIGUSR1"), "a verdict")
    assert (verdict(folder)["status"], verdict(folder)["exit_code"]) == ("incomplete", 15)
    assert list((folder / "checkpoints").glob("step-*.ckpt"))
    before = rows(folder)  # now: the second attempt may be at its stop before the job is submitted again
    again = submit()  # while the job is in the queue
    assert again.returncode == 2, again.stdout
    assert f"job {job} has this run" in again.stderr

    cluster.wait(job, "RUNNING", restarts=1)
    wait_for(lambda: rows(folder) > before + 2, "steps of the second attempt")
    cluster.preempt(job)
    wait_for(lambda: verdict(folder)["reason"].startswith("SIGTERM"), "a verdict")
    assert (verdict(folder)["status"], verdict(folder)["exit_code"]) == ("incomplete", 143)

    assert cluster.wait(job, "COMPLETED", restarts=2) == 0
    assert verdict(folder)["status"] == "accepted"
    reasons = [entry["reason"].split(":")[0] for entry in verdict(folder)["facts"]["resumed"]]
    assert reasons == ["SIGUSR1", "SIGTERM"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
