"""Validation metrics of WoTE: those of every planner, accuracy of each reward head, overlap of the imagined map."""

from __future__ import annotations

from torch import Tensor
from torchmetrics import MeanAbsoluteError, MetricCollection
from torchmetrics.classification import BinaryAccuracy

from wotempo.batch import Batch
from wotempo.planners.metrics import PlanMetrics, figures, overlaps

# Order of the simulation rewards; progress (EP) is a share, the others are yes or no (NC = ½ counts as no).
REWARDS = ("nc", "dac", "ep", "ttc", "comfort")


class ValidationMetrics(PlanMetrics):
    """``update`` per batch, ``compute`` at the end of an epoch. Reduced over ranks by torchmetrics."""

    def __init__(self, num_classes: int = 8) -> None:
        super().__init__(num_classes)
        self.rewards = MetricCollection({n: MeanAbsoluteError() if n == "ep" else BinaryAccuracy() for n in REWARDS})
        self.future_bev = overlaps(num_classes)

    def update(self, outputs: dict[str, Tensor], batch: Batch) -> None:
        """outputs: those of ``PlanMetrics`` with ``sim_rewards`` (B, 5, N) of the plan, and ``fut_bev_semantic_map``
        (B·S, K, R, C) of the supervised forward pass."""
        super().update(outputs, batch)
        for index, name in enumerate(REWARDS):
            predicted, truth = outputs["sim_rewards"][:, index].float(), batch["sim_reward"][:, index]
            # contiguous: the metric views its input flat
            self.rewards[name].update(predicted, truth.contiguous() if name == "ep" else (truth > 0.75).long())
        self.future_bev.update(outputs["fut_bev_semantic_map"].argmax(1), batch["future_map"].flatten(0, 1).long())

    def compute(self) -> dict[str, Tensor]:
        values = super().compute()
        for name in REWARDS:
            values[f"val/{name}_{'mae' if name == 'ep' else 'accuracy'}"] = self.rewards[name].compute()
        return values | figures("future_bev", self.future_bev)
