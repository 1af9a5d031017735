"""TransFuser's losses: named, weighted terms whose plain sum is minimised. At least float32, under autocast too."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from wotempo.batch import Batch
from wotempo.errors import UserError
from wotempo.planners.backbone.encoder import wide
from wotempo.planners.heads.agent_matching import agent_losses
from wotempo.planners.heads.bev_map import class_weights
from wotempo.planners.imitated import imitated_mean, imitation_weight


@dataclass(frozen=True)
class LossWeights:
    """The weights of the NAVSIM devkit's baseline (v1.1). A term of weight 0 is not computed.

    ``map_class_weights``: one positive number per class of the BEV map, or None (the devkit: all count alike).
    """

    trajectory: float
    agent_cls: float
    agent_box: float
    map: float
    map_class_weights: list[float] | None

    def __post_init__(self) -> None:
        if self.map_class_weights is not None and not all(w > 0 for w in self.map_class_weights):
            raise UserError(f"losses.map_class_weights are {self.map_class_weights}: give positive numbers")


def compute_losses(outputs: dict[str, Tensor], batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
    """``TransFuser.forward``'s outputs and the batch they came from -> name of the term -> weighted scalar.

    trajectory: mean |error| over x, y (m) and heading (rad) of all poses of the samples to imitate · agent_cls,
    agent_box: matched to the true agents at the least total cost · map: cross entropy over the cells. The names are the
    fields of ``LossWeights``, without those of weight 0.
    """
    with torch.autocast(outputs["trajectory"].device.type, enabled=False):
        predicted = {key: wide(value) for key, value in outputs.items() if key != "fused_bev"}
        plan, logits = predicted["trajectory"], predicted["bev_semantic_map"]
        terms = {}
        if weights.trajectory:
            apart = F.l1_loss(plan, batch["trajectory"].to(plan.dtype), reduction="none")
            terms["trajectory"] = weights.trajectory * imitated_mean(apart, imitation_weight(batch, plan))
        if weights.agent_cls or weights.agent_box:
            terms |= agent_losses(predicted, batch, weights.agent_cls, weights.agent_box)
        if weights.map:
            of_class = class_weights(weights.map_class_weights, logits)
            truth = batch["bev_map"].long()
            cells = F.cross_entropy(logits, truth, reduction="none")
            terms["map"] = weights.map * (cells if of_class is None else cells * of_class[truth]).mean()
    return terms
