"""Estimate what a run will need, from a few measured steps: speed, memory, hours, requeues, cost.

Takes every key of the run, and a machine profile. Exit code 0 if it fits, 1 with a proposal if it does not. For GPUs on
a machine without one it forecasts what can be told there: memory by a step of fake tensors, disk, preparation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from wotempo.capacity import forecast as forecasts
from wotempo.capacity.benchmark import EstimateConfig, Measurement, measure
from wotempo.capacity.machine import MachineConfig, check_machine
from wotempo.capacity.projection import Job, fitting_batch, shorter
from wotempo.command_line.entry import run
from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig, typed
from wotempo.datasets import dataset_class
from wotempo.errors import require_least
from wotempo.navsim import write_bytes
from wotempo.preparation.prepare import prepare_data

SMALLER = "no batch size or length of this run; try trainer.precision=bf16-mixed, fewer frames, or a smaller model"


@dataclass(kw_only=True)
class EstimateKeys(RunConfig):
    """All keys of the command: those of the run, the machine, and how to measure."""

    machine: MachineConfig
    estimate: EstimateConfig


def check(raw: DictConfig) -> tuple[RunConfig, MachineConfig, EstimateConfig]:
    """The run, the machine, and how to measure. A forecast reads nothing of the dataset, which need not be here."""
    machine = check_machine(raw.machine)
    options: EstimateConfig = typed(raw.estimate, EstimateConfig)
    require_least(1, options, "steps", "val_batches", place="estimate.")
    require_least(0, options, "warm_up", place="estimate.")
    rest = OmegaConf.masked_copy(raw, [str(key) for key in raw if key not in ("machine", "estimate")])
    if no_gpu_here(str(rest.trainer.accelerator)):
        rest, _ = dataset_class(str(rest.data.kind)).without_environment(rest)
    return check_config(rest), machine, options


def no_gpu_here(accelerator: str) -> bool:
    """Whether the run is for GPUs, and this machine has none: nothing can be measured."""
    return accelerator in ("gpu", "cuda") and not torch.cuda.is_available()


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


@dataclass(frozen=True)
class Answer:
    """``needs``: the figures of the run, or of the nearest one that fits where its own could not be measured.
    ``refused``: why the run cannot be done, and ``proposal``: the overrides of one that can; both empty if it fits."""

    needs: dict[str, Any]
    refused: list[str]
    proposal: list[str]


def answer(
    config: RunConfig,
    machine: MachineConfig,
    options: EstimateConfig,
    job: Job,
    measure: Callable[[int], Measurement | None],
) -> Answer:
    """Measures the run, and smaller batches only where it does not fit into memory."""
    refused: list[str] = []
    proposal: list[str] = []
    own = job.trainer.batch_size
    first = measure(own)
    ceiling = memory_limit(config, machine, "cuda" if first is None else first.device)
    m, fitted = first, job
    if first is None or first.peak_gb > ceiling:
        used = "more memory than the GPU has" if first is None else f"{first.peak_gb:.2f} GB"
        refused.append(f"batch_size {own} needs {used}, the limit is {ceiling:g} GB")
        m = fitting_batch(job.trainer, first, ceiling, measure)
        if m is None:
            return Answer({} if first is None else needs(job, first, machine, ceiling), refused, [])
        fitted = job.with_batch(m.batch_size)
        accumulate = fitted.trainer.accumulate_grad_batches
        proposal += [f"trainer.batch_size={m.batch_size}", f"trainer.accumulate_grad_batches={accumulate}"]
    assert m is not None
    allowed, key = time_limit(config, machine, options)
    if (hours := fitted.hours(m)) > allowed:
        refused.append(f"{fitted.epochs(m.batch_size):g} epochs take {hours:.3g} h, {key} is {allowed:g}")
        if not (shorten := shorter(fitted, m, allowed)):
            return Answer(needs(fitted, m, machine, ceiling), refused, [])
        proposal += shorten
    return Answer(needs(job if m is first else fitted, m, machine, ceiling), refused, proposal)


def needs(job: Job, m: Measurement, machine: MachineConfig, ceiling_gb: float) -> dict[str, Any]:
    """What estimate.json says about a measured run."""
    train, val = job.batches(m.batch_size)
    hours = job.hours(m)
    gpu_hours = hours * machine.gpus if m.device == "cuda" else 0.0
    price = machine.price_per_gpu_hour
    return {
        "measured": asdict(m),
        "processes": job.world,
        "steps_per_second": 1 / m.step_s,
        "samples_per_second": m.batch_size * job.world / m.step_s,
        "limited_by": m.limited_by,
        "memory_gb": m.peak_gb,
        "memory_limit_gb": ceiling_gb,
        "train_batches": train,
        "val_batches": val,
        "epochs": job.epochs(m.batch_size),
        "hours_per_epoch": job.epoch_hours(m),
        "hours": hours,
        "job_hours": machine.hours,
        "requeues": max(math.ceil(hours / machine.hours) - 1, 0),
        "gpu_hours": gpu_hours,
        "cost": None if price is None else gpu_hours * price,
    }


def lines(figures: dict[str, Any]) -> list[str]:
    """For a terminal."""
    m = figures["measured"]
    alone = f"the loader alone {1000 * m['loader_s']:.3g} ms"
    cost = "machine.price_per_gpu_hour is not set" if figures["cost"] is None else f"{figures['cost']:.2f}"
    return [
        f"measured  batch {m['batch_size']} on {m['device']}, {m['steps']} steps, {m['workers']} loader workers"
        + (f"; {figures['processes']} processes are taken to be as fast each" if figures["processes"] > 1 else ""),
        f"speed     {figures['steps_per_second']:.3g} it/s, {figures['samples_per_second']:.3g} samples/s",
        f"limit     {figures['limited_by']}: {1000 * m['compute_s']:.3g} ms of compute a step, "
        f"{1000 * m['wait_s']:.3g} ms of waiting, {alone}",
        f"memory    {figures['memory_gb']:.2f} GB of {figures['memory_limit_gb']:g} GB",
        f"epoch     {figures['hours_per_epoch']:.3g} h: {figures['train_batches']} batches, and "
        f"{figures['val_batches']} of validation at {1000 * m['val_s']:.3g} ms",
        f"run       {figures['hours']:.3g} h for {figures['epochs']:g} epochs: {figures['requeues']} requeues of "
        f"jobs of {figures['job_hours']:g} h",
        f"cost      {figures['gpu_hours']:.3g} GPU hours: {cost}",
    ]


def forecast(config: RunConfig, machine: MachineConfig) -> int:
    """What a machine without a GPU can tell of a run on GPUs."""
    ranks = machine.gpus if config.trainer.devices in (-1, "auto") else world_size(config)
    found = forecasts.forecast(config, ranks, memory_limit(config, machine, "cuda"))
    made = forecasts.preparation(config, dataset_class(config.data.kind).supply)
    host = forecasts.host_bytes(config)
    proposal: list[str] = []
    if found.smaller is not None:
        accumulate = config.trainer.batch_size * config.trainer.accumulate_grad_batches // found.smaller
        proposal = [f"trainer.batch_size={found.smaller}", f"trainer.accumulate_grad_batches={accumulate}"]
    content = {"name": config.name, **forecasts.content(found, host, made), "fits": not found.refused}
    file = Path(config.run_dir) / "estimate.json"
    write_bytes(file, json.dumps(content | {"proposal": proposal}, indent=1).encode())
    print(f"forecast of {config.name}: there is no GPU here, so that nothing is measured")
    for line in forecasts.lines(found, host, made, config.trainer):
        print(f"  {line}")
    print(f"  {file}")
    if not found.refused:
        print("it fits", flush=True)
        return 0
    used = f"{found.packed.expected / forecasts.GIGABYTE:.2f} GB"
    refused = f"batch_size {found.batch_size} needs {used}, the limit is {found.limit_gb:g} GB"
    print(f"refused: {refused}; what fits: " + (f'ARGS="{" ".join(proposal)}"' if proposal else SMALLER), flush=True)
    return 1


def work(raw: DictConfig) -> int:
    config, machine, options = check(raw)
    if no_gpu_here(config.trainer.accelerator):
        return forecast(config, machine)
    prepared, data = prepare_data(config)
    job = Job(len(prepared.scenes["train"]), len(prepared.scenes["val"]), world_size(config), config.trainer)
    found = answer(config, machine, options, job, partial(measure, config, prepared, data, options))
    content = {"name": config.name, "data": prepared.name, "note": prepared.note, **found.needs}
    content |= {"fits": not found.refused, "refused": found.refused, "proposal": found.proposal}
    file = Path(config.run_dir) / "estimate.json"
    write_bytes(file, json.dumps(content, indent=1).encode())
    print(f"estimate of {config.name} on {prepared.name}; criteria (some per cent) and first preparation not counted")
    for line in lines(found.needs) if found.needs else ():
        print(f"  {line}")
    print(f"  {file}")
    if not found.refused:
        print("it fits", flush=True)
        return 0
    remedy = f'ARGS="{" ".join(found.proposal)}"' if found.proposal else SMALLER
    if not options.requeue and time_limit(config, machine, replace(options, requeue=True))[0] == math.inf:
        remedy += ", or ARGS=estimate.requeue=true where only the time is short"
    print(f"refused: {' and '.join(found.refused)}; what fits: {remedy}", flush=True)
    return 1


if __name__ == "__main__":
    run("estimate", EstimateKeys, check, work)
