"""The end of a run whose validation does not get better any more."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import EarlyStopping


class EarlyStop(EarlyStopping):
    """Lightning's early stopping, behind validations only and not before ``least`` whole epochs."""

    def __init__(self, least: int, monitor: str, mode: str, patience: int, min_delta: float) -> None:
        super().__init__(monitor, min_delta, patience, mode=mode, check_on_train_epoch_end=False)
        self.least = least

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch + 1 >= self.least:
            super().on_validation_end(trainer, pl_module)
