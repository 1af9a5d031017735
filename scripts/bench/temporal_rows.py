"""The rows of ``bench_temporal``: ways to train on a batch of windows of four frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from random_batches import random_batch
from torch import Tensor, nn
from windows import apart
from wotempo.configs import values

from scripts.bench.bench_wote import resident_mb, steps_of, training_step
from wotempo.batch import Batch
from wotempo.capacity.fake_gpu import Kept
from wotempo.fusion import POINTS, STAGES, build_fusion, level_of
from wotempo.planners.config import ModelConfig
from wotempo.planners.wote.losses import LossWeights, compute_losses
from wotempo.planners.wote.wote import WoTE

WINDOW = 4
FULL_GRADIENT, NO_GRAD, MEMORY = 1.35, 1.2, 1.2  # goals, as multiples of the single-frame step
PUBLIC = "public code"


@dataclass(frozen=True)
class Row:
    """One way to train on a batch, measured against the row ``none``."""

    name: str
    stage: str
    runs: int | None = None  # of neighbouring windows in the batch; None: every window has frames of its own
    options: dict = field(default_factory=dict)  # of ModelConfig
    bf16: bool = False
    goal: float | None = None


def full_rows(batch: int) -> list[Row]:
    """``none`` first. A run of one window shares nothing: that is the naive row."""
    no_grad, lidar = {"history_grad": 0}, {"history_sensors": "lidar"}
    rows = [Row("none", "none"), Row("naive", "convgru")]
    for runs in (r for r in (1, 2, 4) if batch % r == 0 and r < batch):
        name = f"{runs} run{'s' * (runs > 1)} of {batch // runs}"
        rows.append(Row(name, "convgru", runs, goal=FULL_GRADIENT if runs < 4 else None))
        if runs < 4:
            rows.append(Row(f"{name}, no-grad", "convgru", runs, no_grad, goal=NO_GRAD))
            rows.append(Row(f"{name}, LiDAR-only", "convgru", runs, lidar))
    frozen = {**no_grad, **lidar, "batch_norm": "frozen"}
    name = f"1 run of {batch}"
    return [
        *rows,
        Row(f"{name}, no-grad, LiDAR-only, frozen BN", "convgru", 1, frozen),
        Row(f"{name}, checkpointing", "convgru", 1, {"activation_checkpointing": True}),
        Row(f"{name}, bf16", "convgru", 1, bf16=True),
    ]


def stage_rows() -> list[Row]:
    return [Row(name, name, None if name == "none" else 1) for name in ("none", *(s for s in STAGES if s != "none"))]


class Trainer:
    """The models of one size, built when a row first needs them: rows of a stage share weights and optimiser."""

    def __init__(self, config: ModelConfig, batch: int, official: str | None = None) -> None:
        self.config, self.batch, self.official = config, batch, official
        self._built: dict[tuple, tuple[nn.Module, Callable[[Batch], Tensor], Callable[[], None], dict]] = {}

    def data(self, row: Row) -> dict:
        window = 1 if row.stage in ("none", PUBLIC) else WINDOW
        batch = random_batch(self.config, self.batch, window, runs=row.runs or 1, whole=True)
        if row.runs is None:
            batch = apart(batch)
        if row.stage in STAGES and level_of({"name": row.stage}) == POINTS:
            current = batch["lidar"][batch["frame_index"]]
            batch |= {"lidar_stack": current.clone(), "lidar_stack_pose": batch["pose"].clone()}
        return batch

    def jobs(self, row: Row) -> tuple[Callable[[], None], Callable[[], float]]:
        """A training step; and the megabytes that a forward pass keeps for its backward one, weights left out."""
        data, config = self.data(row), replace(self.config, **row.options)

        def run(saved: bool) -> float:
            key = (row.stage, config.batch_norm)
            if key not in self._built:
                self._built[key] = self._build(row.stage, config)
            model, loss, step, current = self._built[key]
            current["batch"] = data
            if isinstance(model, WoTE):
                model.config = config  # what differs between the rows of a model is read at every step
            with torch.autocast("cpu", torch.bfloat16, enabled=row.bf16):
                if saved:
                    return _saved_mb(model.train(), loss, data)
                step()
            return 0.0

        return lambda: run(False) and None, lambda: run(True)

    def _build(self, stage: str, c: ModelConfig) -> tuple[nn.Module, Callable, Callable[[], None], dict]:
        model: nn.Module
        if stage == PUBLIC:
            model, loss, _ = steps_of("public", "compat", self.official)
        else:
            torch.manual_seed(0)
            offered = c.level(level_of({"name": stage}))
            fusion = build_fusion(stage, *offered, 1 if stage == "none" else WINDOW)
            model = WoTE(c, torch.randn(c.num_anchors, c.num_poses, 3), fusion)

            weights = LossWeights(**values("planner/wote")["losses"])

            def loss(batch: Batch) -> Tensor:
                return sum(compute_losses(model(batch), batch, weights).values())

        current: dict = {}
        return model, loss, training_step(model, lambda holder: loss(holder["batch"]), current), current


def peak_mb(config: ModelConfig, batch: int, official: str | None, row: Row, threads: int) -> float:
    """Growth of this process' resident memory from before the model is built, over two steps."""
    torch.set_num_threads(threads)
    step, _ = Trainer(config, batch, official).jobs(row)
    before = resident_mb("VmRSS")
    for _ in range(2):
        step()
    return resident_mb("VmHWM") - before


def _saved_mb(model: nn.Module, loss: Callable[[Batch], Tensor], batch: Batch) -> float:
    kept = Kept(model)
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, kept.unpack):
        value = loss(batch)
    return kept.bytes * (value is not None) / 2**20  # while the graph is there
