"""A Slurm of one node without a queue, for machines without one: `stand_in.py sbatch|scontrol|squeue|scancel …`.
What it does to a job was read off Slurm 22.05, beside which the same tests run.

* the script as it was when submitted, in ``--chdir``, output truncated at the start or appended to (``--open-mode``)
* ``--signal=B:USR1@s``: to the script's first process alone; without ``B:`` to its whole group, as steps get it
* the end of the time limit, ``scontrol requeue``, ``scancel``: SIGCONT, SIGTERM to the group, SIGKILL after KILL_WAIT
* time passes only where the file ``clock`` beside the jobs says so: the seconds that are over since the first job
* out of time: TIMEOUT, not requeued. requeue: the same id, SLURM_RESTART_COUNT one more
* a job that ends by itself: COMPLETED or FAILED with its exit code
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

STATE = Path(os.environ["STAND_IN_SLURM"])
CLOCK = "clock"
KILL_WAIT = 900.0  # seconds; a job that takes so long to end hangs
TICK = 0.05
KNOWN = {"job-name", "chdir", "output", "open-mode", "requeue", "signal", "nodes", "cpus-per-task", "mem", "time"}


def read(job: str) -> dict:
    return json.loads((STATE / job / "job.json").read_text())


def write(job: str, **values: object) -> None:
    file = STATE / job / "job.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    partial = file.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(kept | values))
    partial.replace(file)


def now() -> float:
    file = STATE / CLOCK
    return float(file.read_text()) if file.exists() else 0.0


def options_of(script: str) -> dict[str, str]:
    found = {}
    for line in script.splitlines():
        if line.startswith("#SBATCH"):
            for word in shlex.split(line.removeprefix("#SBATCH")):
                key, _, value = word.removeprefix("--").partition("=")
                found[key] = value
    return found


def sbatch(script: str) -> None:
    text = Path(script).read_text()
    options = options_of(text)
    if unknown := set(options) - KNOWN:
        sys.exit(f"sbatch: error: Batch job submission failed: invalid {sorted(unknown)[0]} specified")
    STATE.mkdir(exist_ok=True)
    job = str(1 + sum(1 for _ in STATE.glob("*/job.json")))
    (STATE / job).mkdir()
    (STATE / job / "script").write_text(text)
    write(job, state="PENDING", restarts=0, exit_code=None)
    subprocess.Popen([sys.executable, __file__, "node", job], start_new_session=True,
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    print(job)


def attempt(job: str, restarts: int) -> tuple[str, int | None]:
    """-> state, exit code."""
    options = options_of((STATE / job / "script").read_text())
    log = Path(options["output"].replace("%%", "%"))
    mode = "ab" if options.get("open-mode") == "append" else "wb"
    environment = os.environ | {"SLURM_JOB_ID": job, "SLURM_NNODES": "1", "SLURM_PROCID": "0", "SLURM_NODEID": "0",
                                "SLURM_LOCALID": "0", "SLURM_JOB_NAME": options["job-name"]}  # fmt: skip
    if restarts:
        environment["SLURM_RESTART_COUNT"] = str(restarts)
    with log.open(mode) as output:
        run = subprocess.Popen(["bash", str(STATE / job / "script")], cwd=options["chdir"], env=environment,
                               stdout=output, stderr=output, start_new_session=True)  # fmt: skip
    write(job, state="RUNNING", restarts=restarts, pid=run.pid)
    began, limit = now(), 60 * float(options["time"])
    batch_only, name, before = re.match(r"(B:)?(\w+)@(\d+)", options["signal"]).groups()
    warned, order = False, STATE / job / "order"
    while run.poll() is None:
        time.sleep(TICK)
        spent = now() - began
        if not warned and spent >= limit - int(before):
            warned = True
            (os.kill if batch_only else os.killpg)(run.pid, signal.Signals[f"SIG{name}"])
        if order.exists():
            state = order.read_text()
            order.unlink()
            end(run)
            return state, None
        if spent >= limit:
            end(run)
            return "TIMEOUT", None
    state = "COMPLETED" if run.returncode == 0 else "FAILED"
    if order.exists():  # it asked for its requeue and was gone before anybody looked
        state = order.read_text()
        order.unlink()
    return state, run.returncode


def end(run: subprocess.Popen) -> None:
    for number in (signal.SIGCONT, signal.SIGTERM):
        os.killpg(run.pid, number)
    with suppress(subprocess.TimeoutExpired):
        run.wait(KILL_WAIT)
    with suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)  # what the script left behind, too
    run.wait()


def node(job: str) -> None:
    restarts = 0
    while True:
        state, code = attempt(job, restarts)
        if state != "PENDING":
            write(job, state=state, exit_code=code)
            return
        restarts += 1
        write(job, state=state, restarts=restarts)


def order(job: str, state: str) -> None:
    if not (STATE / job).is_dir() or read(job)["state"] != "RUNNING":
        sys.exit("Invalid job id specified")
    partial = STATE / job / f"order.{os.getpid()}"
    partial.write_text(state)
    partial.replace(STATE / job / "order")


def main(program: str, arguments: list[str]) -> None:
    if program == "sbatch":
        sbatch(arguments[-1])
    elif program == "scontrol" and arguments[0] == "requeue":
        order(arguments[1], "PENDING")
    elif program == "squeue":
        job = arguments[-1]
        if read(job)["state"] in ("PENDING", "RUNNING"):
            print(job, read(job)["state"])
    elif program == "scancel" and arguments[0] == "--batch":
        os.kill(read(arguments[-1])["pid"], signal.Signals[f"SIG{arguments[1].removeprefix('--signal=')}"])
    elif program == "scancel":
        order(arguments[-1], "CANCELLED")
    elif program == "node":
        node(arguments[0])
    else:
        sys.exit(f"{program} {arguments}: this stand-in does not know that")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
