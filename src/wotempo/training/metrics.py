"""Validation metrics: displacement of the chosen trajectory, accuracy of each reward head, mIoU of the BEV map."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanMetric, Metric, MetricCollection
from torchmetrics.classification import BinaryAccuracy, MulticlassJaccardIndex

# Order of the simulation rewards; progress (EP) is a share, the others are yes or no (NC = ½ counts as no).
REWARDS = ("nc", "dac", "ep", "ttc", "comfort")


def displacement(plan: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """(average, final) displacement error in metres, each (B,). plan, truth (B, 8, 3) x, y, heading, ego frame."""
    error = torch.linalg.vector_norm(plan[..., :2] - truth[..., :2], dim=-1)
    return error.mean(-1), error[:, -1]


class ValidationMetrics(nn.Module):
    """``update`` per batch, ``compute`` at the end of an epoch. Reduced over ranks by torchmetrics."""

    def __init__(self, num_classes: int = 8) -> None:
        super().__init__()
        self.scalars = MetricCollection({"ade": MeanMetric(), "fde": MeanMetric()})
        self.rewards = nn.ModuleDict(
            {name: MeanAbsoluteError() if name == "ep" else BinaryAccuracy() for name in REWARDS}
        )
        self.bev_miou = MulticlassJaccardIndex(num_classes=num_classes, average="macro", zero_division=0.0)

    def update(self, plan: dict[str, Tensor], batch: dict) -> None:
        """plan: the model's ``plan`` output with ``sim_rewards`` (B, 5, N) and ``bev_semantic_map`` (B, K, R, C)."""
        ade, fde = displacement(plan["trajectory"], batch["trajectory"])
        self.scalars["ade"].update(ade)
        self.scalars["fde"].update(fde)
        for index, name in enumerate(REWARDS):
            predicted, truth = plan["sim_rewards"][:, index].float(), batch["sim_reward"][:, index]
            # contiguous: the metric views its input flat
            self.reward(name).update(predicted, truth.contiguous() if name == "ep" else (truth > 0.75).long())
        self.bev_miou.update(plan["bev_semantic_map"].argmax(1), batch["bev_map"].long())

    def compute(self) -> dict[str, Tensor]:
        values = {f"val/{k}": v for k, v in self.scalars.compute().items()}
        for name in REWARDS:
            values[f"val/{name}_{'mae' if name == 'ep' else 'accuracy'}"] = self.reward(name).compute()
        values["val/bev_miou"] = self.bev_miou.compute()
        return values

    def reset(self) -> None:
        self.scalars.reset()
        self.bev_miou.reset()
        for name in REWARDS:
            self.reward(name).reset()

    def reward(self, name: str) -> Metric:
        return cast(Metric, self.rewards[name])
