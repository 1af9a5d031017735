"""``learning_rate``: every rate is finite, not negative, without jumps, and not zero all along."""

from __future__ import annotations

import math
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch.optim import Optimizer

from callbacks.base.guard import Guard, Policy


class LearningRateGuard(Guard):
    """The rate that each group of the optimiser really uses, at every step: a rate that is not finite or negative ends
    the run before that step, and so does a jump to more than ``max_jump`` times the highest rate the group had so far
    (falls and warm restarts are free). At the end, all groups together may have been at zero for ``max_zero_share`` of
    the steps. It sees schedules stepped per epoch instead of per batch (or the reverse) where that makes zeros or
    jumps, and hand-made changes. It cannot see whether a steady rate is too high or too low: the criteria ``loss`` and
    ``finite`` find what follows from that. Rates that live on the device are not read.

    Args:
        max_jump: largest rise from one step to the next, as a factor of the highest rate before.
        max_zero_share: largest share of steps at rate zero.
        min_steps: from so many steps on, all at zero, the run is stopped.
    """

    name = "learning_rate"
    number = 13
    exit_code = 22
    unit = "times the highest rate before"
    sense = "≤"
    hint = "Check the scheduler, its interval (step or epoch) and its horizon, and what else sets the rate."

    def __init__(
        self, max_jump: float = 10.0, max_zero_share: float = 0.2, min_steps: int = 50, policy: Policy = "fail"
    ) -> None:
        super().__init__(policy)
        self.limit = max_jump
        self.max_zero_share = max_zero_share
        self.min_steps = min_steps
        self.memory = {"steps": 0, "zeros": 0, "highest": [], "worst": 1.0, "lowest": math.inf}

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        # Several optimisers: each has its own groups; they are told apart by their place.
        number = trainer.optimizers.index(optimizer) if optimizer in trainer.optimizers else 0
        groups = {f"{number}.{i}": g["lr"] for i, g in enumerate(optimizer.param_groups)}
        rates = {name: float(rate) for name, rate in groups.items() if isinstance(rate, int | float)}
        bad = {name: rate for name, rate in rates.items() if not (math.isfinite(rate) and rate >= 0)}
        if bad:
            text, measured = "; ".join(f"the rate of group {name} is {rate}" for name, rate in bad.items()), None
        else:
            text, measured = self._follow(rates)
        facts = {"rates": {name: str(rate) for name, rate in bad.items()}} if bad else {}
        self.stop_if(trainer, bool(text), text, measured, **facts)  # once: every step pays for it on several ranks

    def _follow(self, rates: dict[str, float]) -> tuple[str, float | None]:
        """Take the rates of one step into account -> (what is wrong, the number that says so)."""
        memory = self.memory
        memory["steps"] += 1
        memory["zeros"] += bool(rates) and not any(rates.values())
        highest = dict(memory["highest"])
        jumps = {name: rate / highest[name] for name, rate in rates.items() if highest.get(name)}
        name, jump = max(jumps.items(), key=lambda item: item[1], default=("", 1.0))
        memory["worst"] = max(memory["worst"], jump)
        memory["highest"] = [[n, max(rate, highest.get(n, 0.0))] for n, rate in {**highest, **rates}.items()]
        memory["lowest"] = min([memory["lowest"], *(rate for rate in rates.values() if rate > 0)])
        if jump > self.limit:
            text = f"the rate of group {name} jumps to {rates[name]:.4g}, {jump:.3g} times the highest before"
            return text, round(jump, 4)
        if memory["zeros"] == memory["steps"] >= self.min_steps:
            return f"the rate was zero in all of the first {memory['steps']} steps", 0.0
        return "", None

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        steps, zeros, worst = self.memory["steps"], self.memory["zeros"], round(self.memory["worst"], 4)
        if steps == 0:
            self.record("inconclusive", "no optimiser step was seen")
            return
        highest = [rate for _, rate in self.memory["highest"]]
        facts: dict[str, Any] = {"steps": steps, "steps_at_zero": zeros, "highest_by_group": highest}
        if zeros > max(self.max_zero_share * steps, 1):
            self.record("fail", f"the rate was zero in {zeros} of {steps} steps", worst, **facts)
        elif not highest:
            self.record("inconclusive", "the rates live on the device and were not read", None, **facts)
        else:
            span = f"rates from {self.memory['lowest']:.3g} to {max(highest):.3g}"
            self.record("pass", f"{span} in {steps} steps, none jumps", worst, **facts)
