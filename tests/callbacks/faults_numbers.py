"""Faults of numbers and time: not finite, a loss that does not fall, rates, memory, budget, loader."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from fault import BAD_STEP, Fault, around, striking
from lightning.pytorch.plugins import MixedPrecision
from toy_run import STEPS, ToyModule

from callbacks import BudgetGuard, LearningRateGuard, LoaderGuard, MemoryGuard


class Extras(ToyModule):
    """With a frozen parameter and a buffer that no loss depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = torch.nn.Parameter(torch.zeros(3), requires_grad=False)
        self.register_buffer("seen", torch.zeros(3))


class Scheduled(ToyModule):
    """``factor(step)`` times the rate."""

    factor = staticmethod(lambda step: 1.0)

    def configure_optimizers(self) -> Any:
        optimiser = torch.optim.Adam(self.parameters(), 0.01)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: self.factor(step))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def term_times(factor: float, graph: bool = True) -> Callable[[Any], None]:
    def losses(original: Any, module: Any, batch: Any) -> Any:
        terms = original(batch)
        if striking(module):
            terms["heading"] = (terms["heading"] if graph else terms["heading"].detach()) * factor
        return terms

    return around("losses", losses)


def nan_metric(original: Any, module: Any, batch: Any, batch_idx: int) -> Any:
    """A term that is only looked at: no gradient carries it to other ranks."""
    loss = original(batch, batch_idx)
    if striking(module):
        module.loss_terms["heading"] = module.loss_terms["heading"].detach() * math.nan
    return loss


def nan_in_the_first(original: Any, module: Any, batch: Any, batch_idx: int) -> Any:
    """Of the two micro-batches of step BAD_STEP."""
    return original(batch, batch_idx) * (math.nan if batch_idx == 2 * BAD_STEP else 1.0)


def gradient_times(factor: float, since: int, until: int) -> Callable[[Any], None]:
    def encode(original: Any, module: Any, lidar: Any) -> Any:
        bev = original(lidar)
        if module.training and bev.requires_grad and since <= module.global_step <= until:
            bev.register_hook(lambda gradient: gradient * factor)
        return bev

    return around("encode", encode)


def poison(name: str) -> Any:
    def act(trainer: Any, module: Any) -> None:
        module.state_dict()[name].view(-1)[0] = math.nan

    return act


def nan_status(batch: dict[str, Any], number: int) -> None:
    if number == BAD_STEP:
        batch["status"][2, 0] = math.nan


def nan_in_validation(original: Any, module: Any, batch: Any) -> Any:
    return {name: term * (1.0 if module.training else math.nan) for name, term in original(batch).items()}


def half_precision() -> dict[str, Any]:
    return {"plugins": MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**16))}


def curve(value: Callable[[int], float]) -> Callable[[Any], None]:
    """The loss that the run sees; what it learns stays."""

    def step(original: Any, module: Any, batch: Any, batch_idx: int) -> Any:
        loss = original(batch, batch_idx)
        return loss - loss.detach() + value(batch_idx)

    return around("training_step", step)


def rate(factor: Callable[[int], float]) -> Callable[[Any], None]:
    return lambda module: setattr(module, "factor", factor)


def once(factor: float) -> Callable[[int], float]:
    return lambda step: factor if step == BAD_STEP else 1.0


def memory(*gigabytes: float) -> Callable[[bool], Any]:
    """Readings at batch 0, 8, 16 …; the last one stays."""

    def guards(guilty: bool) -> Any:
        values = iter(gigabytes if guilty else (1.0,))
        latest = [1.0]

        def read(device: Any) -> float:
            latest[0] = next(values, latest[0])
            return latest[0] * 1e9

        return {"memory": MemoryGuard(every=8, read_bytes=read)}

    return guards


def out_of_memory(error: Exception) -> Callable[[Any], None]:
    def step(original: Any, module: Any, batch: Any, batch_idx: int) -> Any:
        if striking(module):
            raise error
        return original(batch, batch_idx)

    return around("training_step", step)


def clock(*seconds: float) -> Callable[[], float]:
    """Each look at it takes the next of ``seconds``, around and around."""
    return itertools.accumulate(itertools.cycle(seconds)).__next__


def slow_steps(guilty: bool) -> Any:
    return {"budget": BudgetGuard(0.5, clock=clock(60.0 if guilty else 1.0))}


def stalled(guilty: bool) -> Any:
    wait, work = (4.0, 1.0) if guilty else (0.1, 1.0)
    return {"loader": LoaderGuard(policy="fail", allow_inconclusive=False, every=20, clock=clock(wait, work))}


GPU, HOST = "CUDA out of memory. Tried to allocate 2.00 GiB.", "DefaultCPUAllocator: can't allocate memory: 9 GB"

FINITE = [
    Fault("NaN in one loss term", "finite", 20, "loss term heading is not finite", change=term_times(math.nan)),
    Fault("Inf in one loss term", "finite", 20, "loss term heading is not finite", change=term_times(math.inf)),
    Fault("NaN in a term without gradient", "finite", 20, "loss term heading is not finite",
          change=around("training_step", nan_metric)),
    Fault("NaN in one field of one sample", "finite", 20, "is not finite", damage=nan_status),
    Fault("NaN gradient, finite loss", "finite", 20, "the gradient of", change=gradient_times(math.nan, 20, 20)),
    Fault("Inf gradient, finite loss", "finite", 20, "the gradient of", change=gradient_times(math.inf, 20, 20)),
    Fault("NaN in the first of two micro-batches", "finite", 20, "loss term loss is not finite",
          change=around("training_step", nan_in_the_first), options=lambda: {"accumulate_grad_batches": 2}),
    Fault("fp16 scaler skips every step", "finite", 16, "the gradient of",
          change=gradient_times(math.inf, 0, STEPS), options=half_precision),
    Fault("NaN written into a trained weight", "finite", 20, "is not finite", at=poison("head.weight"), dirty=True),
    Fault("NaN in a frozen parameter", "finite", 24, "first ['frozen']", evidence="weights", at=poison("frozen"),
          module=Extras, dirty=True),
    Fault("NaN in a buffer", "finite", 24, "first ['seen']", evidence="weights", at=poison("seen"), module=Extras,
          dirty=True, ranks=""),
    Fault("NaN loss in validation only", "finite", STEPS, "after validation val/loss is not finite",
          evidence="weights", change=around("losses", nan_in_validation)),
]  # fmt: skip

LOSS = [
    Fault("loss is flat", "loss", STEPS, "the loss does not fall", "none", change=curve(lambda i: 1.0), ranks="all"),
    Fault("loss rises", "loss", STEPS, "the loss does not fall", "none", change=curve(lambda i: 1.0 + 0.1 * i)),
    Fault("loss blows up at the end", "loss", STEPS, "the loss does not fall", "none",
          change=curve(lambda i: 1.0 if i < 36 else math.exp(i - 36))),
    Fault("loss falls too little", "loss", STEPS, "the loss does not fall", "none",
          change=curve(lambda i: 1.0 - 1e-4 * i), ranks=""),
    Fault("loss falls, but perhaps by chance", "loss", STEPS, "may be chance", "none",
          change=curve(lambda i: 1.0 + 0.2 * (i % 3) - 0.05 * (i > 35)), ranks=""),
    Fault("learning rate so small that nothing is learnt", "loss", STEPS, "", "none", module=Scheduled,
          change=rate(lambda step: 1e-7), ranks=""),
]  # fmt: skip

RATE = [
    Fault("learning rate NaN", "learning_rate", 20, "is nan", module=Scheduled, change=rate(once(math.nan))),
    Fault("learning rate negative", "learning_rate", 20, "is -0.01", module=Scheduled, change=rate(once(-1.0))),
    Fault("learning rate jumps", "learning_rate", 20, "30 times the highest before", module=Scheduled,
          change=rate(once(30.0))),
    Fault("learning rate zero all along", "learning_rate", 15, "zero in all of the first 16 steps", module=Scheduled,
          change=rate(lambda step: 0.0), guards=lambda guilty: {"learning_rate": LearningRateGuard(min_steps=16)}),
    Fault("schedule ends at half of the run", "learning_rate", STEPS, "zero in 24 of 48 steps", "none",
          module=Scheduled, change=rate(lambda step: max(0.0, 1 - step / 24))),
]  # fmt: skip

MEMORY = [
    Fault("memory over the ceiling", "memory", 1, "over the ceiling of 40 GB", "weights", guards=memory(50.0)),
    Fault("memory leaks until the ceiling", "memory", 33, "over the ceiling of 40 GB", "weights",
          guards=memory(1.0, 11.0, 21.0, 31.0, 41.0)),
    Fault("out of memory on the device", "memory", 20, "out of memory: CUDA",
          change=out_of_memory(torch.OutOfMemoryError(GPU))),
    Fault("out of memory on the host", "memory", 20, "can't allocate memory", change=out_of_memory(RuntimeError(HOST))),
]  # fmt: skip

TIME = [
    Fault("steps too slow for the budget", "budget", 40, "its budget is 0.5 h", "weights", guards=slow_steps),
    Fault("loader stalls", "loader", 25, "of the time goes into waiting for data", "weights", guards=stalled),
]
FAULTS = [*FINITE, *LOSS, *RATE, *MEMORY, *TIME]
