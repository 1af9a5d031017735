"""A training step of fake tensors: the bytes that it will take of a GPU, at full size, on a machine without one."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from wotempo.capacity.fake_batch import fake_batch
from wotempo.capacity.fake_gpu import Allocations, Kept, backward, fake_tensors, to_fake
from wotempo.planners.config import ModelConfig
from wotempo.planners.heads import agent_matching
from wotempo.training.module import LitPlanner
from wotempo.training.optimiser import OptimiserConfig, build_optimiser

AUTOCAST = {"32-true": None, "16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
"""The type of autocast, by the trainer's precision."""
SHARE, FIXED = 0.08, 0.5e9
"""What an allocator rounds up and cannot use, of the bytes that are alive; and the workspaces of cuBLAS and cuDNN, in
bytes. Both are taken from what is known of other networks: no GPU has confirmed them here (docs/gpu.md)."""


@dataclass(frozen=True)
class FakeStep:
    """The training step to be looked at. ``run_length``: neighbouring windows of the batch that share frames, 1 for
    none. ``average``: a running average of the weights is kept. ``ranks``: processes of the run."""

    planner: str
    model: ModelConfig
    fusion: dict[str, Any]
    optimiser: OptimiserConfig
    losses: dict[str, Any] | None
    batch_size: int
    run_length: int
    precision: str
    clip: bool = True
    average: bool = False
    ranks: int = 1


@dataclass(frozen=True)
class StepMemory:
    """Bytes of one training step on one device, and the number of its frames.

    ``activations``: what the forward pass keeps for the backward pass, after it. ``counted``: the most that is alive at
    one time, of all that is listed and what operations need for a moment.
    """

    frames: int
    parameters: int
    gradients: int
    optimiser: int
    average: int
    buckets: int
    batch: int
    activations: int
    counted: int
    waits: tuple[str, ...] = ()

    @property
    def expected(self) -> float:
        """What the allocator of a GPU will have reserved at its peak, which is what the criterion ``memory`` reads."""
        return (1 + SHARE) * self.counted + FIXED

    @property
    def at_most(self) -> float:
        """The same with twice the margin."""
        return (1 + 2 * SHARE) * self.counted + 2 * FIXED


def step_memory(step: FakeStep, device: str = "cuda") -> StepMemory:
    """One step in a state as after many: gradients of the step before and the optimiser's state are there.

    ``device``: ``cuda`` for the operations of a GPU, ``cpu`` for those of a CPU. An operation that makes the host wait
    for numbers of the device, or that mixes devices, ends it with an error of ``FakeTensorMode``; the assignment of
    predicted to true agents, which waits on purpose, does not (``model.agent_head``)."""
    dtype = AUTOCAST[step.precision]
    counts = Allocations(device)
    anchors = np.zeros((step.model.num_anchors, step.model.num_poses, 3), np.float32)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        given = (step.model.to_dict(), step.fusion, asdict(step.optimiser), step.losses)
        module = LitPlanner(*given, anchors=anchors, planner=step.planner)
    with fake_tensors(counts), patch.object(agent_matching, "assigned", _any_assignment):
        planner = module.model.train()
        to_fake(planner, device)
        parameters = counts.now
        optimiser, _, _ = build_optimiser(planner, module.optimiser_config, total_steps=2)
        trained = [p for group in optimiser.param_groups for p in group["params"]]
        for parameter in trained:
            parameter.grad = torch.empty_like(parameter)
        gradients = counts.now - parameters
        optimiser.step()
        state = counts.now - parameters - gradients
        batch = fake_batch(planner, step.batch_size, step.run_length, device)
        before = counts.now
        counts.peak, counts.waits = before, []
        kept, cast = Kept(planner), nullcontext() if dtype is None else torch.autocast(device, dtype)
        with torch.autograd.graph.saved_tensors_hooks(kept.pack, kept.unpack), cast:
            loss = [torch.stack(list(module.terms_of(batch).values())).sum()]
        activations = kept.bytes
        optimiser.zero_grad()  # where Lightning has it
        backward(loss)
        if step.clip:
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
    buckets = gradients if step.ranks > 1 else 0  # of DistributedDataParallel
    average = parameters if step.average else 0
    return StepMemory(
        frames=len(batch["lidar"]),
        parameters=parameters,
        gradients=gradients,
        optimiser=state,
        average=average,
        buckets=buckets,
        batch=before - parameters - gradients - state,
        activations=activations,
        counted=counts.peak + average + buckets,
        waits=tuple(counts.waits),
    )


def _any_assignment(cost: Tensor) -> Tensor:
    return torch.zeros(cost.shape[:2], dtype=torch.int64, device=cost.device)
