"""The forecast of a run on GPUs, made on a machine without one: memory of a step, host memory, disk, preparation.

From the configuration and published counts alone: nothing of the dataset is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from callbacks.criteria.memory import GIGABYTE, tree_bytes
from wotempo.capacity.benchmark import Measurement
from wotempo.capacity.fake_step import FIXED, SHARE, FakeStep, StepMemory, step_memory
from wotempo.capacity.projection import fitting_batch
from wotempo.config.schema import RunConfig, TrainerConfig
from wotempo.data.build import PART_RECORDS
from wotempo.data.shared_memory import PREFETCHED
from wotempo.datasets.supply import Supply
from wotempo.preparation.limits import training_batch_bytes
from wotempo.preparation.plan import labels, projected_caches
from wotempo.preparation.windows import window_needs

# Seconds of one CPU core: a log of 660 frames read, a frame of three JPEGs and a LiDAR cloud cached, a scene's targets
# drawn, its 256 anchors simulated. Measured, but for the size of real clouds and images (docs/gpu.md).
LOG_S, FRAME_S, TARGET_S, LABEL_S = 0.1, 0.07, 0.01, 0.0276
FILES_PER_LOG = 4  # frames and targets: the index and the last, partly filled file of each


@dataclass(frozen=True)
class Preparation:
    """The caches and labels of a dataset's training and validation: made once, before the first step."""

    tokens: int
    frames: int
    logs: int
    disk_bytes: float
    inodes: int
    core_hours: float


@dataclass(frozen=True)
class Forecast:
    """``packed``: a batch of whole runs; ``apart``: one whose windows share no frame, the most that a batch can hold,
    None where there is no difference. ``smaller``: a batch size that is forecast to fit where the run's own is not."""

    batch_size: int
    packed: StepMemory
    apart: StepMemory | None
    limit_gb: float
    smaller: int | None

    @property
    def refused(self) -> bool:
        """Whether the run's own batch is forecast to need more than the limit."""
        return self.packed.expected / GIGABYTE > self.limit_gb


def fake_step_of(config: RunConfig, batch_size: int, ranks: int) -> FakeStep:
    """The training step of a run, with that batch size."""
    trainer = config.trainer
    return FakeStep(
        planner=config.planner,
        model=config.model,
        fusion=config.fusion,
        optimiser=config.optimiser,
        losses=config.losses,
        batch_size=batch_size,
        run_length=min(trainer.run_length, batch_size),
        precision=trainer.precision,
        clip=trainer.gradient_clip_val is not None,
        average=trainer.ema is not None,
        ranks=ranks,
    )


def forecast(config: RunConfig, ranks: int, limit_gb: float) -> Forecast:
    """Of one process of ``ranks``; ``limit_gb``: of its GPU."""
    trainer = config.trainer
    own = fake_step_of(config, trainer.batch_size, ranks)
    packed = step_memory(own)
    shares = window_needs(config).frames > 1 and own.run_length > 1
    apart = step_memory(replace(own, run_length=1)) if shares else None
    found = Forecast(trainer.batch_size, packed, apart, limit_gb, None)
    if not found.refused:
        return found

    def smaller(batch_size: int) -> Measurement:
        return as_measured(batch_size, step_memory(fake_step_of(config, batch_size, ranks)))

    fitting = fitting_batch(trainer, as_measured(trainer.batch_size, packed), limit_gb, smaller)
    return found if fitting is None else replace(found, smaller=fitting.batch_size)


def as_measured(batch_size: int, memory: StepMemory) -> Measurement:
    """For ``fitting_batch``, which reads the peak alone."""
    return Measurement(batch_size, 0, 0, 0.0, 0.0, 0.0, 0.0, memory.expected / GIGABYTE, "cuda")


def preparation(config: RunConfig, supply: Supply) -> Preparation | None:
    """From the published counts; None for a dataset that publishes none."""
    if not supply.tokens:
        return None
    needs = window_needs(config)
    tokens, logs = supply.tokens["train"] + supply.tokens["val"], supply.log_files.get("train", 0)
    frames = round(tokens * (supply.frames_per_token if needs.frames > 1 else 1.0))
    seconds = logs * LOG_S + frames * FRAME_S + tokens * (TARGET_S + LABEL_S * needs.labels)
    return Preparation(
        tokens=tokens,
        frames=frames,
        logs=logs,
        disk_bytes=projected_caches(config, supply)[1] + labels(config, tokens)[1],
        inodes=(frames + tokens) // PART_RECORDS + FILES_PER_LOG * logs,
        core_hours=seconds / 3600,
    )


def host_bytes(config: RunConfig) -> dict[str, float]:
    """Of one process of the run: its own, about as large as this one, which has imported the same; as many again for
    each loader worker; and the batches that these prepare ahead in shared memory."""
    workers = config.trainer.num_workers
    return {
        "process": tree_bytes(os.getpid()),
        "workers": workers,
        "shared_memory": float(training_batch_bytes(config) * workers * PREFETCHED),
    }


def content(found: Forecast, host: dict[str, float], made: Preparation | None) -> dict[str, Any]:
    """What estimate.json says of a forecast."""

    def step(memory: StepMemory | None) -> dict[str, Any] | None:
        bounds = () if memory is None else (("expected", memory.expected), ("at_most", memory.at_most))
        return None if memory is None else {**asdict(memory), **dict(bounds)}

    return {
        "forecast": True,
        "batch_size": found.batch_size,
        "memory_gb": found.packed.expected / GIGABYTE,
        "memory_limit_gb": found.limit_gb,
        "step_bytes": step(found.packed),
        "step_bytes_nothing_shared": step(found.apart),
        "host_bytes": host,
        "preparation": None if made is None else asdict(made),
    }


def lines(found: Forecast, host: dict[str, float], made: Preparation | None, trainer: TrainerConfig) -> Iterator[str]:
    """For a terminal."""

    def gb(count: float) -> str:
        return f"{count / GIGABYTE:.2f} GB"

    m = found.packed
    weights = m.parameters + m.gradients + m.optimiser + m.average + m.buckets
    yield (
        f"GPU       {gb(m.expected)} of {found.limit_gb:g} GB: batch {found.batch_size}, {m.frames} frames, "
        f"{trainer.precision}; {gb(weights)} weights, gradients and optimiser, {gb(m.activations)} kept for the "
        f"backward pass, {gb(m.counted)} at the peak"
    )
    yield (
        f"margin    {100 * SHARE:g} % and {gb(FIXED)} for the allocator and workspaces; no GPU has confirmed it: from "
        f"{gb(m.counted)} to {gb(m.at_most)} (docs/gpu.md)"
    )
    if found.apart is not None:
        over = " and would not fit" if found.apart.expected / GIGABYTE > found.limit_gb else ""
        shown = f"a batch whose windows share none of {found.apart.frames} frames"
        yield f"at most   {gb(found.apart.expected)}{over}: {shown}"
    each = f"{gb(host['process'])} a process, and as much for each of {trainer.num_workers} loader workers"
    yield f"host      {each}; {gb(host['shared_memory'])} of shared memory for their batches"
    if made is None:
        yield "disk      not known before the dataset is here: make plan-data counts it"
        return
    yield (
        f"disk      {gb(made.disk_bytes)} in {made.inodes:,} files: caches and labels of {made.tokens:,} scenes and "
        f"{made.frames:,} frames in {made.logs:,} logs, as published"
    )
    yield f"prepare   {made.core_hours:.2g} core hours, once: on 8 cores {made.core_hours / 8:.2g} h"
    yield "speed     only a GPU can tell: scripts/bench/gpu_check.sh measures it/s in eight minutes"
