"""A machine profile: the resources that a job asks Slurm for, and the settings of the run that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from omegaconf import DictConfig

from wotempo.config.checks import check_config
from wotempo.config.composition import compose_checked
from wotempo.config.schema import RunConfig, typed
from wotempo.errors import UserError


@dataclass
class MachineConfig:
    partition: str | None
    account: str | None
    qos: str | None
    gpus: int
    cpus: int
    memory_gb: int
    ceiling_gb: float
    hours: float
    batch_size: int
    price_per_gpu_hour: float | None
    setup: list[str]
    warn_seconds: int
    max_restarts: int

    @property
    def minutes(self) -> int:
        """The time limit as Slurm counts it."""
        return math.ceil(self.hours * 60)


@dataclass
class SlurmConfig:
    """The root of configs/slurm.yaml."""

    machine: MachineConfig
    dry_run: bool


OURS = ("machine", "dry_run")  # first parts of the keys that are not the training run's


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Command line -> overrides of this configuration, overrides of the training run's."""
    ours = [text for text in arguments if text.split("=")[0].split(".")[0] in OURS]
    return ours, [text for text in arguments if text not in ours]


def check_machine(raw: DictConfig) -> MachineConfig:
    """The profile, or UserError with the key that cannot be."""
    machine: MachineConfig = typed(raw, MachineConfig)
    for key in ("cpus", "memory_gb", "batch_size", "ceiling_gb", "hours", "warn_seconds"):
        if getattr(machine, key) <= 0:
            raise UserError(f"machine.{key} is {getattr(machine, key)}: set it above 0")
    for key in ("gpus", "max_restarts"):
        if getattr(machine, key) < 0:
            raise UserError(f"machine.{key} is {getattr(machine, key)}: set it to 0 or more")
    if machine.warn_seconds >= 60 * machine.minutes:
        raise UserError(f"machine.warn_seconds is {machine.warn_seconds}, as long as the job: set machine.hours higher")
    return machine


def read(overrides: list[str]) -> SlurmConfig:
    """Compose and check, inside of an initialised Hydra."""
    raw = compose_checked("slurm", overrides)
    return SlurmConfig(machine=check_machine(raw.machine), dry_run=typed(raw, SlurmConfig).dry_run)


def run_overrides(machine: MachineConfig, given: list[str]) -> list[str]:
    """What the profile says about the training run, before what the command line says, which wins."""
    trainer = "cpu" if machine.gpus == 0 else "gpu" if machine.gpus == 1 else "ddp"
    processes = max(1, machine.gpus)
    implied = {
        "trainer": trainer,
        "trainer.batch_size": str(machine.batch_size),
        "trainer.progress_bar": "false",  # it would fill the log
        "acceptance.memory.ceiling_gb": f"{machine.ceiling_gb:g}",
    }
    if machine.gpus > 0:
        implied |= {"trainer.devices": str(machine.gpus), "trainer.num_workers": str(machine.cpus // processes)}
    keys = {text.split("=", 1)[0].lstrip("+~") for text in given}
    return [*(f"{key}={value}" for key, value in implied.items() if key not in keys), *given]


def run_config(overrides: list[str]) -> RunConfig:
    """The checked configuration of the run, for a folder that is not known yet."""
    raw = compose_checked("train", overrides)
    raw.run_dir = "unset"
    return check_config(raw)
