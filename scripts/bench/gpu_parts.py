"""The parts of ``gpu_check``: each measures one thing on the device of its ``Job`` and returns plain figures."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
import torch
from random_batches import random_batch
from streams import drive_frames
from torch import Tensor
from wotempo.configs import values

import callbacks as c
from scripts.bench.guard_meter import GuardMeter, Steps
from wotempo.batch import Batch
from wotempo.capacity.fake_gpu import Allocations
from wotempo.capacity.fake_step import AUTOCAST, FakeStep, StepMemory, step_memory
from wotempo.planners.base import Planner
from wotempo.planners.config import ModelConfig
from wotempo.planners.registry import build_planner
from wotempo.streaming.latency import latency
from wotempo.streaming.planner import StreamingPlanner
from wotempo.training.module import LitPlanner
from wotempo.training.optimiser import OptimiserConfig, build_optimiser

OPTIMISER = OptimiserConfig(**values("train")["optimiser"])
CLIP = values("trainer/cpu")["gradient_clip_val"]
GB = 1e9
OUTPUTS, GRADIENTS = 1e-3, 1e-2
"""Relative deviations (of the norm) from the CPU that float32 may show: sums in another order, through batch norms."""
WARM_UP = 3


@dataclass(frozen=True)
class Row:
    """A way to train. ``shared``: the windows of a batch are neighbours and share frames."""

    stage: str = "convgru"
    shared: bool = False
    options: dict[str, Any] = field(default_factory=dict)  # of the model

    @property
    def fusion(self) -> dict[str, Any]:
        return {"name": self.stage, "num_frames": 1 if self.stage == "none" else 4}


ROWS = {
    "none": Row("none"),
    "naive": Row(),
    "packed": Row(shared=True),
    "no-grad": Row(shared=True, options={"history_grad": 0}),
}


@dataclass(frozen=True)
class Job:
    """What all parts share."""

    config: ModelConfig
    device: torch.device
    batch: int
    steps: int
    rehearsal: bool = False

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def precisions(self) -> tuple[str, ...]:
        """fp16 needs a GPU."""
        return ("32-true", "bf16-mixed", "16-mixed") if self.on_gpu else ("32-true", "bf16-mixed")

    def planner(self, row: Row, **options: Any) -> Planner:
        """With the same weights at every call; the stage's are none that it would begin with, so that history acts."""
        torch.manual_seed(0)
        config = replace(self.config, **row.options, **options)
        anchors = 10 * torch.randn(config.num_anchors, config.num_poses, 3)
        planner = build_planner("wote", config, row.fusion, anchors.numpy())
        with torch.no_grad():
            for parameter in planner.fusion.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
        return planner.train()

    def data(self, row: Row, samples: int, seed: int = 1) -> Batch:
        """On the host, as a loader gives it."""
        frames, runs = row.fusion["num_frames"], 1 if row.shared else samples
        batch: Any = random_batch(self.config, samples, frames, runs=runs, seed=seed, whole=True)
        return {**batch, "frame_rows": batch["frame_index"].tolist()}

    def moved(self, batch: Batch) -> Any:
        """On the device."""
        there = partial(torch.Tensor.to, device=self.device, non_blocking=True)
        return {name: there(value) if isinstance(value, Tensor) else value for name, value in batch.items()}

    def synchronise(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def give_back(self) -> None:
        """Memory of the part before."""
        gc.collect()
        if self.on_gpu:
            torch.cuda.empty_cache()

    @contextmanager
    def waits(self, found: list[str]) -> Iterator[None]:
        """Inside, every operation for which the host waits for the GPU is added to ``found``. Nothing on a CPU."""
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            if self.on_gpu:
                torch.cuda.set_sync_debug_mode("warn")
            try:
                yield
            finally:
                if self.on_gpu:
                    torch.cuda.set_sync_debug_mode("default")
        found += [f"{w.filename}:{w.lineno}" for w in seen if "synchronizing" in str(w.message)]


class Trained:
    """A planner with its optimiser, on the device: ``step`` is what Lightning does in one."""

    def __init__(self, job: Job, row: Row, precision: str) -> None:
        self.job, self.dtype = job, AUTOCAST[precision]
        weights, planner = values("planner/wote")["losses"], job.planner(row)
        self.module = LitPlanner(planner.config.to_dict(), row.fusion, asdict(OPTIMISER), weights, planner.anchors)
        self.module.model = planner.to(job.device)
        self.optimiser, self.schedule, _ = build_optimiser(self.module.model, OPTIMISER, total_steps=1000)
        self.trained = [p for group in self.optimiser.param_groups for p in group["params"]]
        self.scaler = torch.amp.GradScaler(job.device.type, enabled=self.dtype is torch.float16)

    def step(self, batch: Batch) -> Tensor:
        """The loss, on the device."""
        batch = self.job.moved(batch)
        cast = nullcontext() if self.dtype is None else torch.autocast(self.job.device.type, self.dtype)
        with cast:
            loss = torch.stack(list(self.module.terms_of(batch).values())).sum()
        self.optimiser.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.trained, CLIP)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.schedule.step()
        return loss.detach()


# ---- the parts


def same_as_cpu(job: Job, stage: str) -> dict[str, Any]:
    """Outputs and gradients of one step in float32, without dropout and TF32, against the CPU's."""
    row = Row(stage, shared=True)
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    batch, found = job.data(row, 2), []
    for device in (torch.device("cpu"), job.device):
        planner = job.planner(row, dropout=0.0).to(device)
        outputs = planner(replace(job, device=device).moved(batch))
        weights = planner.loss_weights(**values("planner/wote")["losses"])
        terms = planner.losses(outputs, replace(job, device=device).moved(batch), weights)
        torch.stack(list(terms.values())).sum().backward()
        gradients = {n: p.grad.cpu() for n, p in planner.named_parameters() if p.grad is not None}
        found.append(({n: x.detach().cpu() for n, x in outputs.items()}, gradients))
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
    (here, ours), (there, theirs) = found
    outputs_by_name = {name: deviation(here[name], there[name]) for name in here}
    whole = deviation(*(torch.cat([g.flatten() for g in of.values()]) for of in (ours, theirs)))
    by_name = {name: deviation(ours[name], theirs[name]) for name in ours}
    worst = max(by_name, key=lambda name: by_name[name])
    return {
        "ok": max(outputs_by_name.values()) < OUTPUTS and whole < GRADIENTS and ours.keys() == theirs.keys(),
        "outputs": max(outputs_by_name.values()),
        "gradients": whole,
        "worst_gradient": by_name[worst],
        "of": worst,
        "by_output": outputs_by_name,
    }


def deviation(ours: Tensor, theirs: Tensor) -> float:
    """Norm of the difference by the norm of ours."""
    ours, theirs = ours.double(), theirs.double()
    return float((theirs - ours).norm() / ours.norm().clamp(min=1e-12))


def trains(job: Job, precision: str) -> dict[str, Any]:
    """Steps on one batch: losses are finite and fall."""
    row = ROWS["packed"]
    trained, batch = Trained(job, row, precision), job.data(row, job.batch)
    scales, losses = [], []
    for _ in range(job.steps):
        losses.append(float(trained.step(batch)))
        scales.append(trained.scaler.get_scale())
    finite = all(loss == loss and abs(loss) != float("inf") for loss in losses)
    skipped = sum(b < a for a, b in zip([float("inf"), *scales], scales, strict=False)) - 1
    return {
        "ok": finite and (losses[-1] < losses[0] or job.rehearsal),
        "first": losses[0],
        "last": losses[-1],
        "steps": job.steps,
        "skipped": max(skipped, 0),
        "losses": losses,
    }


def row_figures(job: Job, name: str, precision: str) -> dict[str, Any]:
    """Memory against its forecast, steps a second, and how often a step waits for the device."""
    row = ROWS[name]
    told = forecast(job, row, precision)
    trained, batch = Trained(job, row, precision), job.data(row, job.batch)
    counts = Allocations(job.device.type)
    if job.on_gpu:
        torch.cuda.reset_peak_memory_stats(job.device)
    else:
        with counts:  # a CPU counts no peaks
            counts.watch(trained.module.model)
            trained.step(batch)
            trained.step(batch)
    taken = [timed(job, partial(trained.step, batch)) for _ in range(WARM_UP + job.steps)][WARM_UP:]
    waits: list[str] = []
    with job.waits(waits):
        trained.step(batch)
    if job.on_gpu:
        stats = torch.cuda.memory_stats(job.device)
        allocated, reserved = (stats[f"{kind}_bytes.all.peak"] for kind in ("allocated", "reserved"))
    else:
        allocated = reserved = counts.peak
    scaled = AUTOCAST[precision] is torch.float16  # its scaler asks once a step whether a gradient overflowed
    return {
        "ok": 0.9 * told.counted < allocated < 1.1 * told.counted and reserved < told.at_most and len(waits) <= scaled,
        "it_per_s": 1 / median(taken),
        "allocated_gb": allocated / GB,
        "counted_gb": told.counted / GB,
        "reserved_gb": reserved / GB,
        "expected_gb": told.expected / GB,
        "waits": len(waits),
        "waits_at": sorted(set(waits)),
        "step_ms": [round(1000 * seconds, 2) for seconds in taken],
        "forecast": asdict(told),
    }


def forecast(job: Job, row: Row, precision: str) -> StepMemory:
    """Of the same step, by fake tensors."""
    config = replace(job.config, **row.options)
    run = job.batch if row.shared else 1
    step = FakeStep("wote", config, row.fusion, OPTIMISER, values("planner/wote")["losses"], job.batch, run, precision)
    return step_memory(step, job.device.type)


def timed(job: Job, step: Callable[[], Any]) -> float:
    """Seconds, with the work of the device finished."""
    job.synchronise()
    start = time.perf_counter()
    step()
    job.synchronise()
    return time.perf_counter() - start


def push(job: Job) -> dict[str, Any]:
    """Milliseconds of a push, beside the same weights without history."""
    planner = StreamingPlanner(job.planner(Row()).to(job.device).eval())
    found = latency(planner, drive_frames(job.config, 4 + 2 * job.steps), warmup=4)
    return {"push_ms": found.push.p50, "single_ms": found.single_frame.p50, "ratio": found.paired}


def guards_cost(job: Job) -> dict[str, Any]:
    """A run under Lightning with acceptance criteria: the share of a step in their hooks, and how often it waits."""
    row, waits = ROWS["packed"], list[str]()
    trained = Trained(job, row, "32-true")
    batches = [job.data(row, job.batch, seed) for seed in range(1, 3)] * (job.steps + WARM_UP)
    with TemporaryDirectory() as folder:
        kinds = (c.FiniteGuard, c.LossGuard, c.GradientFlowGuard, c.ShapeGuard, c.LearningRateGuard, c.MemoryGuard)
        guards: list[Any] = [kind(policy="warn") for kind in kinds]
        found = [c.FailureRecorder(f"{folder}/failure"), *guards, c.AcceptanceReport(folder)]
        meter = GuardMeter(found)
        steps = Steps(meter)
        trainer = L.Trainer(
            accelerator="gpu" if job.on_gpu else "cpu",
            devices=1,
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            gradient_clip_val=CLIP,
            default_root_dir=folder,
            callbacks=[steps, *found],
        )
        with meter.counting_reads(), job.waits(waits):
            trainer.fit(trained.module, torch.utils.data.DataLoader(batches, batch_size=None))
    late = steps.rows[WARM_UP:]
    wall, hooks, reads = (sum(row[i] for row in late) for i in (0, 2, 4))
    return {
        "share": hooks / (wall - hooks),
        "hook_ms": 1000 * hooks / len(late),
        "step_ms": 1000 * (wall - hooks) / len(late),
        "reads": reads / len(late),
        "waits": len(waits) / len(batches),
        "waits_at": sorted(set(waits)),
    }
