"""Validation metrics: displacement of the chosen trajectory, accuracy of each reward head, mIoU of the BEV map."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanMetric, Metric, MetricCollection
from torchmetrics.classification import BinaryAccuracy, MulticlassJaccardIndex

from wotempo.batch import Batch

# Order of the simulation rewards; progress (EP) is a share, the others are yes or no (NC = ½ counts as no).
VEHICLE = 5  # BevClass.VEHICLE: the class that moves
REWARDS = ("nc", "dac", "ep", "ttc", "comfort")


def displacement(plan: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """(average, final) displacement error in metres, each (B,). plan, truth (B, 8, 3) x, y, heading, ego frame."""
    error = torch.linalg.vector_norm(plan[..., :2] - truth[..., :2], dim=-1)
    return error.mean(-1), error[:, -1]


def overlaps(num_classes: int) -> MetricCollection:
    """IoU of semantic maps, over a whole epoch: ``mean`` over the classes that occur, and ``by_class`` (K,)."""
    options: dict[str, Any] = {"num_classes": num_classes, "zero_division": 0.0}
    return MetricCollection(
        {
            "mean": MulticlassJaccardIndex(average="macro", **options),
            "by_class": MulticlassJaccardIndex(average="none", **options),
        }
    )


class ValidationMetrics(nn.Module):
    """``update`` per batch, ``compute`` at the end of an epoch. Reduced over ranks by torchmetrics."""

    def __init__(self, num_classes: int = 8) -> None:
        super().__init__()
        self.scalars = MetricCollection({"ade": MeanMetric(), "fde": MeanMetric()})
        self.rewards = nn.ModuleDict(
            {name: MeanAbsoluteError() if name == "ep" else BinaryAccuracy() for name in REWARDS}
        )
        self.bev, self.future_bev = overlaps(num_classes), overlaps(num_classes)

    def update(self, plan: dict[str, Tensor], batch: Batch) -> None:
        """plan: the model's ``plan`` output with ``sim_rewards`` (B, 5, N) and ``bev_semantic_map`` (B, K, R, C), and
        ``fut_bev_semantic_map`` (B·S, K, R, C) of the supervised forward pass."""
        ade, fde = displacement(plan["trajectory"], batch["trajectory"])
        self.scalars["ade"].update(ade)
        self.scalars["fde"].update(fde)
        for index, name in enumerate(REWARDS):
            predicted, truth = plan["sim_rewards"][:, index].float(), batch["sim_reward"][:, index]
            # contiguous: the metric views its input flat
            self.reward(name).update(predicted, truth.contiguous() if name == "ep" else (truth > 0.75).long())
        self.bev.update(plan["bev_semantic_map"].argmax(1), batch["bev_map"].long())
        self.future_bev.update(plan["fut_bev_semantic_map"].argmax(1), batch["future_map"].flatten(0, 1).long())

    def compute(self) -> dict[str, Tensor]:
        values = {f"val/{k}": v for k, v in self.scalars.compute().items()}
        for name in REWARDS:
            values[f"val/{name}_{'mae' if name == 'ep' else 'accuracy'}"] = self.reward(name).compute()
        for name, metric in (("bev", self.bev), ("future_bev", self.future_bev)):
            overlap = metric.compute()
            values[f"val/{name}_miou"] = overlap["mean"]
            values[f"val/{name}_vehicle_iou"] = overlap["by_class"][VEHICLE]
        return values

    def reset(self) -> None:
        self.scalars.reset()
        self.bev.reset()
        self.future_bev.reset()
        for name in REWARDS:
            self.reward(name).reset()

    def reward(self, name: str) -> Metric:
        return cast(Metric, self.rewards[name])
