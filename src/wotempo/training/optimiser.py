"""AdamW and its schedule: ``run``, right for the run, or ``compat``, what the published run really did.

``run``: linear warm-up and cosine per step. The horizon is the run's own, and the groups' rates really apply.
``compat``: per epoch; a warm-up over three, then a cosine laid out for 100 epochs of which the public recipe runs 30:
the rate ends at 0.835 of its peak. Its scheduler overwrites the groups' rates with one rate for all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR


@dataclass
class OptimiserConfig:
    """``lr`` of the main group; the two multipliers apply to the named groups over the whole schedule.

    The two fractions and the multipliers are of the schedule ``run``; ``compat`` has none.
    """

    schedule: str  # run | compat
    lr: float
    weight_decay: float
    warmup_fraction: float  # of all steps
    final_fraction: float  # of the peak rate, reached at the last step
    image_encoder_multiplier: float
    fusion_multiplier: float


SCHEDULES = ("run", "compat")
COMPAT_WARMUP, COMPAT_HORIZON, COMPAT_MINIMUM = 3, 100, 1e-6  # epochs, epochs, rate
GROUPS = {"image_encoder": "_backbone.image_encoder.", "fusion": "fusion."}


def parameter_groups(model: nn.Module, config: OptimiserConfig) -> list[dict]:
    """Groups by name prefix, each with its own base rate. Frozen parameters (the anchors) are left out."""
    members: dict[str, list[nn.Parameter]] = {"main": [], **{name: [] for name in GROUPS}}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            group = next((g for g, prefix in GROUPS.items() if name.startswith(prefix)), "main")
            members[group].append(parameter)
    multipliers = {
        "main": 1.0,
        "image_encoder": config.image_encoder_multiplier,
        "fusion": config.fusion_multiplier,
    }
    return [
        {"params": parameters, "lr": config.lr * multipliers[name], "name": name}
        for name, parameters in members.items()
        if parameters
    ]


def schedule_factor(step: int, total: int, config: OptimiserConfig) -> float:
    """Factor of the base rate at optimiser step ``step`` of ``total``: linear warm-up, then cosine to the end."""
    warmup = max(1, round(config.warmup_fraction * total))
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, total - 1 - warmup))
    return config.final_fraction + (1 - config.final_fraction) * 0.5 * (1 + math.cos(math.pi * progress))


def compat_factor(epoch: int, lr: float) -> float:
    """Factor of ``lr`` in ``epoch``, as the published run had it."""
    if epoch < COMPAT_WARMUP:
        return (epoch + 1) / COMPAT_WARMUP
    progress = (epoch - COMPAT_WARMUP) / (COMPAT_HORIZON - COMPAT_WARMUP)
    return (COMPAT_MINIMUM + (lr - COMPAT_MINIMUM) * 0.5 * (1 + math.cos(math.pi * progress))) / lr


def build_optimiser(model: nn.Module, config: OptimiserConfig, total_steps: int) -> tuple[Optimizer, LambdaLR, str]:
    """AdamW, its schedule, and when that is stepped: ``step`` or ``epoch``. ``run`` ends with ``total_steps``."""
    groups = parameter_groups(model, config)
    if config.schedule == "compat":
        groups = [{**group, "lr": config.lr} for group in groups]
    optimiser = AdamW(groups, lr=config.lr, weight_decay=config.weight_decay, fused=True)
    # A fused step offers to undo the scale of fp16 by itself, which Lightning takes for a reason not to clip.
    optimiser._step_supports_amp_scaling = False  # type: ignore[attr-defined]
    if config.schedule == "compat":
        return optimiser, LambdaLR(optimiser, lambda epoch: compat_factor(epoch, config.lr)), "epoch"
    return optimiser, LambdaLR(optimiser, lambda step: schedule_factor(step, total_steps, config)), "step"
