"""Readings of a planner while it plans, batch by batch: what it predicts of its anchors, and which it takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import torch
from torch import Tensor

from wotempo.batch import Batch
from wotempo.planners.base import Planner


class AnchorReadings:
    """``scores``: token -> predicted sub-scores (5, N) of the anchors, of planners that predict some. ``chosen``: token
    -> the anchor from which the plan was made, of planners that choose among their anchors. ``tokens``: of the scenes
    that are read; the others cost nothing."""

    def __init__(self, tokens: Collection[str]) -> None:
        self.tokens = frozenset(tokens)
        self.scores = dict[str, np.ndarray]()
        self.chosen = dict[str, int]()

    @torch.no_grad()
    def add(self, model: Planner, batch: Batch, plan: Mapping[str, Tensor]) -> None:
        """``plan``: what ``model`` planned for ``batch``, as ``Planner.plan`` returns it."""
        rows = [row for row, token in enumerate(batch["tokens"]) if token in self.tokens]
        if not rows or model.anchors is None:
            return
        names = [batch["tokens"][row] for row in rows]
        if "final_rewards" in plan:
            self.chosen |= dict(zip(names, plan["final_rewards"][rows].argmax(-1).tolist(), strict=True))
        predicted = model.anchor_scores(plan["fused_bev"][rows], batch["status"][rows])
        if predicted is not None:
            self.scores |= dict(zip(names, predicted.float().cpu().numpy(), strict=True))
