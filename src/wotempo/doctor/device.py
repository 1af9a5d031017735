"""The GPU: whether the run asks for one, whether torch can use it, and whether it does what the run wants."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from wotempo.config.schema import TrainerConfig
from wotempo.doctor.finding import Finding

BF16 = (8, 0)  # compute capability from which bf16 is computed and not emulated


@dataclass(frozen=True)
class Gpu:
    name: str
    capability: tuple[int, int]
    memory_gb: float


def driver_version() -> str | None:
    """What ``nvidia-smi`` says; None without a driver."""
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.split()[0] if done.returncode == 0 and done.stdout.split() else None


def visible_gpus() -> list[Gpu]:
    """Those that torch can use."""
    if not torch.cuda.is_available():
        return []
    all_of_them = (torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count()))
    return [Gpu(p.name, (p.major, p.minor), p.total_memory / 1e9) for p in all_of_them]


def runs_on(capability: tuple[int, int], built_for: Sequence[str]) -> bool:
    """Whether a build for ("sm_80", "compute_90", …) has code for a GPU: the same major version and no newer minor
    one, or intermediate code of any older version."""
    for name in built_for:
        kind, _, digits = name.partition("_")
        digits = digits.rstrip("af")
        theirs = (int(digits[:-1]), int(digits[-1]))
        if theirs <= capability and (kind == "compute" or theirs[0] == capability[0]):
            return True
    return False


def check_gpu(
    gpus: Sequence[Gpu], driver: str | None, built_for: Sequence[str], trainer: TrainerConfig, ceiling_gb: float
) -> Finding:
    """``trainer``: what the run wants; its ``devices`` are judged where they are a number, -1 for all."""
    listed = ", ".join(f"{g.name} ({g.memory_gb:.0f} GB, compute {g.capability[0]}.{g.capability[1]})" for g in gpus)
    found = f"{listed or 'no GPU that torch can use'}; driver {driver or 'none'}; torch built for CUDA "
    found += str(torch.version.cuda or "none")
    if trainer.accelerator not in ("gpu", "cuda"):
        return Finding("gpu", "ok", f"{found}; the run asks for {trainer.accelerator}")
    if not gpus:
        fix = "update the driver, or install a torch for its CUDA" if driver else "trainer=cpu (make: TRAINER=cpu)"
        return Finding("gpu", "fail", found, fix)
    if isinstance(trainer.devices, int) and trainer.devices > len(gpus):
        return Finding("gpu", "fail", f"{found}; the run wants {trainer.devices}", f"trainer.devices={len(gpus)}")
    if old := [gpu.name for gpu in gpus if not runs_on(gpu.capability, built_for)]:
        return Finding("gpu", "fail", f"{found}; it has no code for {old[0]}", "install a torch build that supports it")
    if trainer.precision == "bf16-mixed" and any(gpu.capability < BF16 for gpu in gpus):
        return Finding("gpu", "warn", f"{found}; bf16 is emulated there", "trainer.precision=16-mixed")
    smallest = min(gpu.memory_gb for gpu in gpus)
    if smallest < ceiling_gb:
        fix = f"acceptance.memory.ceiling_gb={int(0.95 * smallest)}"
        return Finding("gpu", "warn", f"{found}; less than the ceiling of {ceiling_gb:g} GB, which cannot speak", fix)
    return Finding("gpu", "ok", found)
