"""Plans of a checkpoint for many scenes, by batched inference."""

from __future__ import annotations

from typing import Any, cast

import lightning as L
import numpy as np

from wotempo.batch import Batch
from wotempo.data import require_history
from wotempo.datasets import Progress
from wotempo.evaluation.twins.readings import AnchorReadings
from wotempo.evaluation.windows import OnData, windows_of
from wotempo.navsim import DataPaths, Scene
from wotempo.training.history_evidence import HistoryTally
from wotempo.training.module import LitPlanner


class PlanningModule(L.LightningModule):
    """``predict_step`` for a trainer: tokens and planned trajectories. ``tally`` and ``readings``, if any, look at all
    batches."""

    def __init__(
        self, module: LitPlanner, tally: HistoryTally | None = None, readings: AnchorReadings | None = None
    ) -> None:
        super().__init__()
        self.module = module
        self.tally = tally
        self.readings = readings

    def predict_step(self, batch: Batch, batch_idx: int) -> list[tuple[str, np.ndarray]]:
        if self.tally is not None:
            self.tally.add(self.module, batch)
        planned = self.module(batch)
        if self.readings is not None:
            self.readings.add(self.module.model, batch, planned)
        plans = planned["trajectory"].float().cpu().numpy()
        return list(zip(batch["tokens"], plans, strict=True))


def plan_all(
    module: LitPlanner,
    config: OnData,
    paths: DataPaths,
    scenes: list[Scene],
    progress: Progress,
    *,
    batch_size: int = 1,
    num_workers: int = 0,
    accelerator: str,
    precision: str,
    progress_bar: bool = False,
    tally: HistoryTally | None = None,
    readings: AnchorReadings | None = None,
) -> dict[str, np.ndarray]:
    """token -> (8, 3) poses in the ego frame, every 0.5 s. ``tally`` collects what history changes in these plans,
    ``readings`` what the planner says of its anchors."""
    require_history(scenes, module.num_frames, module.frame_stride, "the split")
    split = {"predict": scenes}
    data = windows_of(module, config, paths, split, progress, batch_size=batch_size, num_workers=num_workers)
    trainer = L.Trainer(
        accelerator=accelerator,
        precision=cast(Any, precision),
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=progress_bar,
        enable_model_summary=False,
    )
    batches = trainer.predict(PlanningModule(module, tally, readings), datamodule=data)
    return dict(pair for batch in batches or [] for pair in batch)
