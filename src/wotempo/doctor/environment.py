"""Findings about the machine that a run would use: software, hardware, and whether they compute what they should."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import joblib
import torch

from wotempo.config.schema import RunConfig
from wotempo.doctor.device import check_gpu, driver_version, visible_gpus
from wotempo.doctor.finding import Finding
from wotempo.doctor.machine import check_cpus, check_memory, check_open_files, check_shared_memory, memory_limit_gb
from wotempo.doctor.numerics import check_arithmetic, check_warp
from wotempo.doctor.software import check_packages, check_python, declared
from wotempo.doctor.storage import check_checkpoints
from wotempo.preparation.limits import checkpoint_room, training_batch_bytes


def environment(config: RunConfig) -> Iterator[Finding]:
    """One finding a check: python, packages, gpu, arithmetic, warp, cpus, memory, shared memory, checkpoints, open
    files."""
    trainer = config.trainer
    python, requirements = declared()
    ceiling = config.acceptance.get("memory", {}).get("ceiling_gb", 0.0)
    yield check_python(python)
    yield check_packages(requirements)
    yield check_gpu(visible_gpus(), driver_version(), torch.cuda.get_arch_list(), trainer, ceiling)
    gpu = trainer.accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available()
    if gpu or trainer.accelerator in ("cpu", "auto"):
        device = torch.device("cuda" if gpu else "cpu")
        yield check_arithmetic(device, trainer.precision)
        yield check_warp(device, trainer.precision)
    threads = trainer.threads or torch.get_num_threads()
    usable = joblib.cpu_count()  # after affinity and control groups
    yield check_cpus(usable, trainer.num_workers, config.data.prepare_workers, threads)
    yield check_memory(memory_limit_gb(), trainer.num_workers, trainer.accelerator, ceiling)
    yield check_shared_memory(training_batch_bytes(config), trainer.num_workers)
    yield check_checkpoints(checkpoint_room(config), Path(config.run_dir))
    yield check_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0], trainer.num_workers)
