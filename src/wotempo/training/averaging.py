"""A running average of the weights: what is validated and saved."""

from __future__ import annotations

from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn


class RunningAverage(WeightAveraging):
    """w̄ ← w̄ + (1 - decay)·(w - w̄) after every step (Polyak and Juditsky 1992), of buffers as well.

    Lightning's own EMA computes decay·w̄ + (1 - decay)·w, whose rounding lets weights that are frozen drift.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(use_buffers=True, multi_avg_fn=get_ema_multi_avg_fn(decay))
