"""The text of a Slurm job that is one training run."""

from __future__ import annotations

import shlex
from pathlib import Path

from wotempo.capacity.machine import MachineConfig
from wotempo.errors import UserError
from wotempo.program import by_path
from wotempo.runs.preemption import MAX_RESTARTS

SCRIPT, LOG = "job.sh", "job.log"
JOB_ID = "job.id"  # and the signature of the run


def options(machine: MachineConfig, name: str, here: Path, run_dir: Path) -> list[str]:
    """The options of sbatch.

    ``B:`` sends the warning to Python alone. Without it every process of its group gets it, and a process that does
    not listen, as a spawned worker of a data loader, dies of it.
    """
    log = str(run_dir / LOG).replace("%", "%%")
    found = [
        f"--job-name={name}",
        f"--chdir={here}",
        f"--output={log}",
        "--open-mode=append",  # a requeued job goes on with the log
        "--requeue",
        f"--signal=B:USR1@{machine.warn_seconds}",
        "--nodes=1",
        f"--cpus-per-task={machine.cpus}",
        f"--mem={machine.memory_gb}G",
        f"--time={machine.minutes}",
    ]
    found += [f"--{key}={value}" for key in ("partition", "account", "qos") if (value := getattr(machine, key))]
    if machine.gpus:
        found.append(f"--gres=gpu:{machine.gpus}")
    return found


def job_script(machine: MachineConfig, name: str, here: Path, run_dir: Path, overrides: list[str]) -> str:
    """``exec``: Python takes the place of the shell, so its exit code is the job's and signals reach it.

    The folder is given, so that a requeued job finds the run that it began; a finished run is left as it is (reuse).
    """
    folder = [f"run_dir={_hydra(run_dir)}", "hydra.run.dir=.", "hydra.output_subdir=null"]
    keys = {text.split("=", 1)[0] for text in overrides}
    again = [] if "reuse" in keys else ["reuse=true"]
    command = by_path("train", *overrides, *folder, *again)
    lines = ["#!/bin/bash", *(f"#SBATCH {_quoted(option)}" for option in options(machine, name, here, run_dir))]
    lines += ["set -e", *machine.setup, f"export {MAX_RESTARTS}={machine.max_restarts}"]
    lines += ['echo "job $SLURM_JOB_ID, restart ${SLURM_RESTART_COUNT:-0}, on $(hostname), $(date)"']
    return "\n".join([*lines, f"exec {shlex.join(command)}", ""])


def _hydra(path: Path) -> str:
    """A path as a value of an override."""
    text = str(path)
    return text if all(c.isalnum() or c in "/_-.+" for c in text) else "'" + text.replace("'", "\\'") + "'"


def _quoted(option: str) -> str:
    if not option.isprintable() or '"' in option:
        raise UserError(f"{option!r} cannot be an option of sbatch: run in a folder without line breaks and quotes")
    return f'"{option}"' if " " in option else option
