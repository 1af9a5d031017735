"""Submit one training run to Slurm, by a machine profile.

    wotempo slurm experiment=convgru_1epoch machine=default machine.hours=3 --dry-run
    wotempo slurm --multirun experiment=convgru_1epoch ablation=fusion    # a job per run, by submitit

What is not of ``machine`` configures the run, as for wotempo train, and is checked before.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from wotempo.capacity.job_script import JOB_ID, LOG, SCRIPT, job_script
from wotempo.capacity.machine import MachineConfig, SlurmConfig, check_slurm, run_overrides, split
from wotempo.command_line.entry import check_command_line, command
from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig
from wotempo.errors import UserError
from wotempo.navsim import write_bytes
from wotempo.program import by_path
from wotempo.runs.provenance import signature
from wotempo.runs.unfinished import unfinished_runs


def need(program: str) -> None:
    if shutil.which(program) is None:
        raise UserError(f"there is no {program} here: submit from a machine of the cluster, or print with dry_run=true")


def refuse_twice(parent: Path, identity: str) -> None:
    """UserError where a job of this very run is waiting or running."""
    for file in sorted(parent.glob(f"*/{JOB_ID}")) if shutil.which("squeue") else ():
        job, _, theirs = file.read_text(errors="replace").strip().partition(" ")
        if theirs == identity and job.isdecimal():
            asked = ["squeue", "--noheader", "--job", job]  # fails where Slurm has forgotten the job
            shown = subprocess.run(asked, capture_output=True, text=True, check=False)
            if shown.returncode == 0 and shown.stdout.strip():
                raise UserError(f"job {job} has this run ({file.parent}): wait for it, or say fresh=true")


def folder_for(config: RunConfig, here: Path) -> Path:
    """A new folder below runs/, or that of an unfinished run of this configuration."""
    parent = here / "runs" / config.name
    if not config.fresh and (earlier := unfinished_runs(parent, signature(config))):
        return earlier[-1]
    return parent / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"


def submit(script: Path, text: str) -> str:
    """-> the id of the job. A job that is refused leaves no folder."""
    new = not script.parent.exists()
    write_bytes(script, text.encode())
    done = subprocess.run(["sbatch", "--parsable", str(script)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        if new:
            shutil.rmtree(script.parent)
        raise UserError(f"sbatch refused the job, look at machine.*: {' '.join(done.stderr.split())}")
    return done.stdout.strip().split(";")[0]  # <id>;<cluster>


def monitoring(job: str, run_dir: Path) -> str:
    rows = {
        f"squeue --job {job}": "waiting or running",
        f"tail -F {shlex.quote(str(run_dir / LOG))}": "what it prints",
        f"sacct --job {job} --duplicates --format=JobID,State,ExitCode,Elapsed": "how every attempt ended",
        f"scancel --batch --signal=USR1 {job}": "save, and back into the queue",
        f"scancel {job}": "end it; the run says incomplete",
        f"make resume RUN={shlex.quote(str(run_dir))}": "go on with it here, once the job is gone",
    }
    width = max(len(command) for command in rows)
    return "\n".join(f"  {command:{width}}  # {what}" for command, what in rows.items())


def one_job(slurm: SlurmConfig, config: RunConfig, overrides: list[str]) -> None:
    here = Path.cwd()
    run_dir = folder_for(config, here)
    # A requeued job would start anew, too; the folder is a new one already.
    kept = [text for text in overrides if not text.startswith("fresh=")]
    text = job_script(slurm.machine, config.name, here, run_dir, kept)
    if slurm.dry_run:
        print(text, end="")
        return
    need("sbatch")
    if not config.fresh:
        refuse_twice(run_dir.parent, signature(config))
    continued = run_dir.exists()
    job = submit(run_dir / SCRIPT, text)
    write_bytes(run_dir / JOB_ID, f"{job} {signature(config)}\n".encode())
    print(f"job {job} {'continues' if continued else 'is'} {run_dir}\n{monitoring(job, run_dir)}")


def launcher(machine: MachineConfig) -> list[str]:
    """The profile as options of Hydra's submitit launcher."""
    values = {
        "name": "wotempo",
        "partition": machine.partition,
        "account": machine.account,
        "qos": machine.qos,
        "cpus_per_task": machine.cpus,
        "gpus_per_node": machine.gpus or None,
        "mem_gb": machine.memory_gb,
        "timeout_min": machine.minutes,
        "signal_delay_s": machine.warn_seconds,
        "max_num_timeout": machine.max_restarts,
        "setup": machine.setup,
    }
    given = [f"hydra.launcher.{key}={_value(value)}" for key, value in values.items() if value not in (None, [])]
    return ["hydra/launcher=submitit_slurm", *given]


def _value(value: object) -> str:
    """As Hydra reads it."""
    if isinstance(value, list):
        return f"[{','.join(_value(item) for item in value)}]"
    return "'" + value.replace("'", "\\'") + "'" if isinstance(value, str) else str(value)


def sweep(slurm: SlurmConfig, overrides: list[str]) -> int:
    """A job per run; this process waits for all, and prints the table."""
    if slurm.machine.gpus > 1:
        raise UserError(f"machine.gpus is {slurm.machine.gpus}: a run of a sweep has one GPU, set machine.gpus=1")
    command = by_path("train", "--multirun", *overrides, *launcher(slurm.machine))
    if slurm.dry_run:
        print(shlex.join(command))
        return 0
    if find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        raise UserError('a sweep needs the submitit launcher: pip install "wotempo[slurm]"')
    need("sbatch")
    print("this process waits for the jobs and then prints the table", flush=True)
    return subprocess.run(command, check=False).returncode


@command("[--dry-run] [--multirun] [key=value …] [keys of wotempo train …]", configuration=("slurm", SlurmConfig))
def main(arguments: list[str]) -> int:
    """-> exit code."""
    words = ["dry_run=true" if text == "--dry-run" else text for text in arguments]
    ours, rest = split(words)
    given = [text for text in rest if text not in ("-m", "--multirun")]
    multirun = len(given) < len(rest)
    if strays := [text for text in given if text.startswith("-")]:
        raise UserError(f"there is no option {strays[0]}: use --dry-run, --multirun or key=value")
    (slurm,) = check_command_line("slurm", check_slurm, ours)
    overrides = run_overrides(slurm.machine, given)
    configs = check_command_line("train", check_config, [*overrides, *(["--multirun"] if multirun else [])])
    if multirun:
        return sweep(slurm, overrides)
    one_job(slurm, configs[0], overrides)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
