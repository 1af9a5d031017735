"""A running average of the weights, which is what is validated and saved."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn


class RunningAverage(WeightAveraging):
    """w̄ ← w̄ + (1 - decay)·(w - w̄) after every step (Polyak and Juditsky 1992), of buffers as well.

    Lightning's own EMA computes decay·w̄ + (1 - decay)·w, whose rounding lets weights that are frozen drift.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(use_buffers=True, multi_avg_fn=get_ema_multi_avg_fn(decay))

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # A run that was killed behind its last step and continued does not train, and gets no `on_train_end`.
        if self._average_model is not None:
            self._copy_average_to_current(pl_module)
