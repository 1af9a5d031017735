"""The row of ``metrics.csv`` that Lightning writes a moment after a step's checkpoint."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.trainer.states import RunningStage

from wotempo.runs.metrics_file import MetricsFile

KEY = "pending_row"


class PendingRow(L.Callback):
    """Keeps the latest row of metrics in the checkpoint, and adds it where it is missing when the run is resumed.

    A checkpoint at the end of a batch is written before the loggers get the step's values: killed between the two, the
    run would go on behind a row that was never written."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        loop, connector = trainer.fit_loop.epoch_loop, trainer._logger_connector
        batches: Any = loop.batch_progress.current  # typed as a class without `processed`
        ends_a_batch = trainer.state.stage == RunningStage.TRAINING and batches.processed > batches.completed
        if ends_a_batch and connector.should_update_logs and not trainer.fit_loop._should_accumulate():
            values = {name: float(value) for name, value in connector.metrics["log"].items()}
            row = {**values, "epoch": trainer.current_epoch}
            checkpoint[KEY] = {"step": loop._batches_that_stepped, "metrics": row}

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self._loaded = checkpoint.get(KEY)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for logger in trainer.loggers:
            if self._loaded is not None and isinstance(logger, MetricsFile):
                logger.add_missing(**self._loaded)
        self._loaded = None
