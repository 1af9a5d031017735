"""Figures that every planner is validated by: displacement of its plan, overlap of its semantic map."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassJaccardIndex

from wotempo.batch import Batch

VEHICLE = 5  # BevClass.VEHICLE: the class that moves


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


class PlanMetrics(nn.Module):
    """What a planner is validated by, whatever else it predicts: ``val/ade`` and ``val/fde`` (m), ``val/bev_miou`` and
    ``val/bev_vehicle_iou``. ``update`` per batch, ``compute`` at the end of an epoch, reduced over ranks. Its children
    are collections of metrics."""

    def __init__(self, num_classes: int = 8) -> None:
        super().__init__()
        self.scalars = MetricCollection({"ade": MeanMetric(), "fde": MeanMetric()})
        self.bev = overlaps(num_classes)

    def update(self, outputs: dict[str, Tensor], batch: Batch) -> None:
        """outputs: ``trajectory`` (B, P, 3) and ``bev_semantic_map`` (B, K, R, C) of the plan, and what a planner adds;
        batch: ``trajectory`` (B, P, 3) and ``bev_map`` (B, R, C) are the truth."""
        ade, fde = displacement(outputs["trajectory"], batch["trajectory"])
        self.scalars["ade"].update(ade)
        self.scalars["fde"].update(fde)
        self.bev.update(outputs["bev_semantic_map"].argmax(1), batch["bev_map"].long())

    def compute(self) -> dict[str, Tensor]:
        return {f"val/{k}": v for k, v in self.scalars.compute().items()} | figures("bev", self.bev)

    def reset(self) -> None:
        for collection in self.children():
            cast(MetricCollection, collection).reset()


def figures(name: str, overlap: MetricCollection) -> dict[str, Tensor]:
    """What is logged of the ``overlaps`` of the map ``name``."""
    values = overlap.compute()
    return {f"val/{name}_miou": values["mean"], f"val/{name}_vehicle_iou": values["by_class"][VEHICLE]}
