"""One interface to a real Slurm, started for the tests, and to the stand-in."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from free_port import free_port
from patience import wait_for

SCRIPT = Path(__file__).with_name("stand_in.py")
CLOCK = "clock"  # as in stand_in.py, which imports nothing of the tests
SBIN = "/usr/sbin"  # where Debian's slurm-wlm puts the daemons
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={port_of_node}
AuthType=auth/none
CredType=cred/none
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=1 RealMemory=4000 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """``environment`` is what programs need to reach it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def call(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def submit(self, script: Path) -> str:
        return self.call("sbatch", "--parsable", str(script)).strip()

    def warn(self, job: str) -> None:
        """What ``--signal=B:USR1@…`` does, now."""
        self.call("scancel", "--batch", "--signal=USR1", job)

    def preempt(self, job: str) -> None:
        """What a preempting job does with PreemptMode=REQUEUE."""
        self.call("scontrol", "requeue", job)

    def look(self, job: str) -> tuple[str, int, int | None]:
        """State, number of restarts, exit code."""
        raise NotImplementedError

    def hurry(self, job: str) -> None:
        """A requeued job need not wait."""

    def pass_time(self, minutes: float) -> None:
        """So much of the time limits of jobs is over. Slurm itself has no other clock than the real one."""

    def wait(self, job: str, state: str, restarts: int = 0) -> int | None:
        """-> exit code."""

        def there() -> bool:
            if self.look(job)[:2] == ("PENDING", restarts):
                self.hurry(job)
            return self.look(job)[:2] == (state, restarts)

        wait_for(there, f"{state} after {restarts} restarts, it is {self.look(job)}")
        return self.look(job)[2]


class StandIn(Cluster):
    def __init__(self, folder: Path) -> None:
        programs = folder / "bin"
        programs.mkdir()
        for name in ("sbatch", "scontrol", "squeue", "scancel"):
            (programs / name).write_text(f'#!/bin/bash\nexec "{sys.executable}" "{SCRIPT}" {name} "$@"\n')
            (programs / name).chmod(0o755)
        super().__init__(
            os.environ
            | {
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "STAND_IN_SLURM": str(folder / "state"),
            }
        )
        self.state = folder / "state"

    def pass_time(self, minutes: float) -> None:
        partial = self.state / "partial"
        partial.write_text(str(60 * minutes))
        partial.replace(self.state / CLOCK)

    def look(self, job: str) -> tuple[str, int, int | None]:
        shown = json.loads((self.state / job / "job.json").read_text())
        return shown["state"], shown["restarts"], shown["exit_code"]

    def stop(self) -> None:
        for file in self.state.glob("*/job.json"):
            job = file.parent.name
            if self.look(job)[0] == "RUNNING":
                self.call("scancel", job)
                self.wait(job, "CANCELLED", self.look(job)[1])


def programs_of_slurm() -> str | None:
    """PATH with the programs of a Slurm that can be started here, or None."""
    path = f"{os.environ['PATH']}{os.pathsep}{SBIN}"
    found = all(shutil.which(name, path=path) for name in ("sbatch", "scontrol", "squeue", "scancel"))
    return path if found and all(shutil.which(name, path=path) for name in ("slurmctld", "slurmd")) else None


class RealSlurm(Cluster):
    """slurmctld and slurmd of this machine, as this user, on the loopback address."""

    def __init__(self, folder: Path, path: str) -> None:
        for name in ("state", "spool"):
            (folder / name).mkdir()
        self.folder = folder
        self._ports = ExitStack()
        ports = [self._ports.enter_context(free_port()) for _ in range(2)]
        values = {"host": socket.gethostname().split(".")[0], "user": getpass.getuser(), "folder": folder}
        text = CONFIGURATION.format(port=ports[0], port_of_node=ports[1], **values)
        (folder / "slurm.conf").write_text(text)
        super().__init__(os.environ | {"PATH": path, "SLURM_CONF": str(folder / "slurm.conf")})
        self.call("slurmctld")
        self.call("slurmd")
        wait_for(self._answers, "an idle node of Slurm")

    def _answers(self) -> bool:
        done = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], env=self.environment, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() == "idle"

    def look(self, job: str) -> tuple[str, int, int | None]:
        shown = self.call("scontrol", "show", "job", job)
        state, restarts = re.search(r"JobState=(\w+)", shown)[1], re.search(r"Restarts=(\d+)", shown)[1]
        return state, int(restarts), int(re.search(r"ExitCode=(\d+):", shown)[1])

    def hurry(self, job: str) -> None:
        subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], env=self.environment,
                       capture_output=True, check=False)  # fmt: skip

    def stop(self) -> None:
        self.call("scancel", "--user", getpass.getuser())
        wait_for(lambda: not self.call("squeue", "--noheader").strip(), "the end of all jobs")
        for name in ("slurmd", "slurmctld"):
            os.kill(int((self.folder / f"{name}.pid").read_text()), signal.SIGTERM)
        self._ports.close()
