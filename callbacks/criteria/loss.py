"""``loss``: the training loss decreases."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from callbacks.base.guard import Guard, Policy, share
from callbacks.base.protocol import loss_terms
from callbacks.measures.laggard import laggard
from callbacks.measures.trend import FEWEST, decreasing_trend

KEPT_ON_DEVICE = 64


@dataclass(eq=False)
class LossGuard(Guard):
    """Passes if the loss per batch went down by at least ``min_drop`` and rank tests (see trend.py) exclude chance at
    level ``alpha``: a run without any trend passes with a probability of at most ``alpha``. A decrease that may be
    chance is inconclusive; no decrease is a failure, and so is one that is gone again at the very end. With several
    ranks their mean is judged, and a rank whose loss alone does not fall while the others' does is a failure too.

    Args:
        min_drop: smallest relative decrease from the median of the first 2.5 % to that of the last quarter.
        alpha: probability of accepting a run whose loss has no trend.
        min_batches: fewer batches are inconclusive.
        warm_up: batches at the beginning that do not count.
    """

    name = "loss"
    number = 4
    exit_code = 12
    unit = "relative decrease"
    by_rank = True
    hint = "Check the learning rate and its schedule, the targets, and that the optimiser holds all parameters."

    min_drop: float = 0.01
    alpha: float = 0.01
    min_batches: int = 40
    warm_up: int = 0
    policy: Policy = "fail"
    allow_inconclusive: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.policy, self.allow_inconclusive)
        if self.min_batches < FEWEST:
            raise ValueError(f"min_batches is {self.min_batches}; fewer than {FEWEST} batches cannot be judged")
        self.limit = self.min_drop
        self.memory = {"names": ["loss"], "losses": []}  # one row per batch: the loss and its terms
        self._rows: list[Tensor] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if not isinstance(loss, Tensor):
            return  # a skipped step
        terms = loss_terms(pl_module)
        if not self.memory["losses"] and not self._rows:
            self.memory["names"] = ["loss", *terms]
        whole = loss.detach() * trainer.accumulate_grad_batches  # Lightning hands over the divided loss
        absent = torch.full_like(whole, math.nan)
        values = [whole, *(terms.get(name, absent) for name in self.memory["names"][1:])]
        self._rows.append(torch.stack([value.float().reshape(()) for value in values]))
        if len(self._rows) == KEPT_ON_DEVICE:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self.memory["losses"].extend(self.fetch(torch.stack(self._rows)))
            self._rows = []

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.flush()
        ranks = share(trainer, self.memory["losses"])
        shortest = min(len(rows) for rows in ranks)
        mean = ranks[0]
        if len(ranks) > 1:
            mean = [
                [sum(cells) / len(ranks) for cells in zip(*rows, strict=True)] for rows in zip(*ranks, strict=False)
            ]
        series = {name: [row[i] for row in mean] for i, name in enumerate(self.memory["names"])}
        losses = series["loss"][self.warm_up :]
        if shortest - self.warm_up < self.min_batches:
            text = f"{len(losses)} batches are too few to judge a trend, {self.min_batches} are needed"
            self.record("inconclusive", text, batches=len(losses))
            return
        if not all(math.isfinite(value) for value in losses):
            self.record("fail", "the loss is not finite", None, batches=len(losses))
            return
        trend = decreasing_trend(losses)
        p = trend.p
        drop = round(trend.drop, 4)
        columns = [[row[0] for row in rows[self.warm_up : shortest]] for rows in ranks]
        behind = laggard(columns, self.limit, self.alpha)
        details: dict[str, Any] = {
            "early": trend.early,
            "late": trend.late,
            "p": p,
            "alpha": self.alpha,
            "batches": len(losses),
            "autocorrelation": round(trend.correlation, 3),
        }
        details["terms"] = {name: _ends(values[self.warm_up :]) for name, values in series.items() if name != "loss"}
        ends = f"median {trend.early:.4g} → {trend.late:.4g} over {len(losses)} batches, p = {p:.1g}"
        if drop < self.limit:
            self.record("fail", f"the loss does not fall: {ends}", drop, **details)
        elif trend.kept < self.limit and trend.p_rise <= self.alpha:
            self.record("fail", f"the loss fell and rose again: {ends}, {trend.end:.4g} at the end", drop, **details)
        elif behind is not None:
            ends = f"median {behind.trend.early:.4g} → {behind.trend.late:.4g} over {len(losses)} batches"
            text = f"the loss of rank {behind.rank} does not fall while that of the others does: {ends}"
            self.record("fail", text, round(behind.trend.drop, 4), rank=behind.rank, **{**details, "p": behind.p})
        elif p > self.alpha:
            text = f"{ends}: may be chance, more batches or less noise are needed"
            self.record("inconclusive", text, drop, **details)
        else:
            self.record("pass", ends, drop, **details)


def _ends(values: list[float]) -> list[float] | None:
    """Medians of the first and the last values of one term; None where one is not finite."""
    if not all(math.isfinite(value) for value in values):
        return None
    trend = decreasing_trend(values)
    return [trend.early, trend.late]
