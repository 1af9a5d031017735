"""What a run will need, from a few measured steps: exit 0 if it fits, 1 with a proposal if it does not.

python -m wotempo.commands.estimate experiment=convgru_1epoch [machine=default] [key=value ...]
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from wotempo.commands.benchmark import EstimateConfig, Measurement, measure
from wotempo.commands.checks import check_config
from wotempo.commands.config import RunConfig, typed
from wotempo.commands.entry import run
from wotempo.commands.machine import MachineConfig
from wotempo.commands.prepare import Prepared, prepare
from wotempo.commands.progress import PreparationProgress
from wotempo.commands.projection import Job, candidates, shorter, shortened
from wotempo.commands.train import build_data
from wotempo.data import NavsimDataModule
from wotempo.errors import UserError
from wotempo.navsim import write_bytes


def check(raw: DictConfig) -> tuple[RunConfig, MachineConfig, EstimateConfig]:
    """The run, the machine, and how to measure."""
    machine: MachineConfig = typed(raw.machine, MachineConfig)
    options: EstimateConfig = typed(raw.estimate, EstimateConfig)
    if machine.hours <= 0:
        raise UserError(f"machine.hours is {machine.hours}: set the time limit of a job, above 0")
    for key in ("steps", "val_batches"):
        if getattr(options, key) < 1:
            raise UserError(f"estimate.{key} is {getattr(options, key)}: set it to 1 or more")
    if options.warm_up < 0:
        raise UserError(f"estimate.warm_up is {options.warm_up}: set it to 0 or more")
    rest = OmegaConf.masked_copy(raw, [str(key) for key in raw if key not in ("machine", "estimate")])
    config = check_config(rest)
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("trainer.accelerator is 'gpu', but there is no GPU here: estimate on the machine that will train")
    return config, machine, options


def world_size(config: RunConfig) -> int:
    """Processes of the run itself; the measurement uses one of them."""
    devices = config.trainer.devices
    if devices in (-1, "auto"):
        return max(torch.cuda.device_count(), 1)
    return devices if isinstance(devices, int) else len(devices)


def memory_limit(config: RunConfig, machine: MachineConfig, device: str) -> float:
    """The least of the criterion's ceiling and what the machine has."""
    own = machine.ceiling_gb if device == "cuda" else float(machine.memory_gb)
    return min(config.acceptance.get("memory", {}).get("ceiling_gb", own), own)


def time_limit(config: RunConfig, machine: MachineConfig, options: EstimateConfig) -> tuple[float, str]:
    """Hours, and the key that sets them; infinite where a job may be continued and there is no budget."""
    limits = [(math.inf, "")]
    if (budget := config.acceptance.get("budget", {}).get("budget_hours")) is not None:
        limits.append((float(budget), "acceptance.budget.budget_hours"))
    if not options.requeue:
        limits.append((machine.hours, "machine.hours"))
    return min(limits)


def fitting_batch(
    config: RunConfig,
    prepared: Prepared,
    data: NavsimDataModule,
    options: EstimateConfig,
    first: Measurement | None,
    ceiling_gb: float,
) -> Measurement | None:
    """The largest smaller batch that was measured to fit, None where none does."""
    measured = [first] if first is not None else []
    tried = {config.trainer.batch_size}
    half = max(config.trainer.batch_size // 2, 1)
    queue = [half] if half not in tried else []
    while True:
        untried = [b for b in (*queue, *candidates(config.trainer, measured, ceiling_gb)) if b not in tried]
        if not untried:
            break
        tried.add(untried[0])
        queue = []
        if (m := measure(config, prepared, data, options, untried[0])) is not None:
            measured.append(m)
    ...
    return None


def report(name: str, job: Job, m: Measurement, machine: MachineConfig, ceiling_gb: float) -> dict[str, Any]:
    """What estimate.json holds of a run that is measured."""
    train, val = job.batches(m.batch_size)
    hours = job.hours(m)
    gpu_hours = hours * machine.gpus if m.device == "cuda" else 0.0
    price = machine.price_per_gpu_hour
    return {
        "name": name,
        "measured": asdict(m),
        "steps_per_second": 1 / m.step_s,
        "samples_per_second": m.batch_size * job.world / m.step_s,
        "limited_by": m.limited_by,
        "memory_gb": m.peak_gb,
        "memory_limit_gb": ceiling_gb,
        "train_batches": train,
        "val_batches": val,
        "hours_per_epoch": job.epoch_hours(m),
        "epochs": job.epochs(m.batch_size),
        "hours": hours,
        "requeues": max(math.ceil(hours / machine.hours) - 1, 0),
        "gpu_hours": gpu_hours,
        "cost": None if price is None else gpu_hours * price,
    }
