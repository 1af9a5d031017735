"""A machine profile: the resources that a job asks Slurm for, and the settings of the run that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from omegaconf import DictConfig

from wotempo.config.schema import typed
from wotempo.errors import UserError, require_least, require_name


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
    for key in ("partition", "account", "qos"):
        if (value := getattr(machine, key)) is not None:
            require_name(f"machine.{key}", value)
    require_least(0, machine, "gpus", "max_restarts", place="machine.")
    if machine.warn_seconds >= 60 * machine.minutes:
        raise UserError(f"machine.warn_seconds is {machine.warn_seconds}, as long as the job: set machine.hours higher")
    return machine


def check_slurm(raw: DictConfig) -> SlurmConfig:
    """The profile and whether to submit, or UserError with the key that cannot be."""
    return SlurmConfig(machine=check_machine(raw.machine), dry_run=typed(raw, SlurmConfig).dry_run)


def run_overrides(machine: MachineConfig, given: list[str]) -> list[str]:
    """What the profile says about the training run, before what the command line says, which wins."""
    trainer = "cpu" if machine.gpus == 0 else "gpu" if machine.gpus == 1 else "ddp"
    implied = {
        "trainer": trainer,
        "trainer.batch_size": str(machine.batch_size),
        "trainer.progress_bar": "false",  # it would fill the log
        "acceptance.memory.ceiling_gb": f"{machine.ceiling_gb:g}",
    }
    if machine.gpus > 0:
        implied |= {"trainer.devices": str(machine.gpus), "trainer.num_workers": str(machine.cpus // machine.gpus)}
    keys = {text.split("=", 1)[0].lstrip("+~") for text in given}
    return [*(f"{key}={value}" for key, value in implied.items() if key not in keys), *given]
