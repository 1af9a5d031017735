"""Named sums over a run that stay on the device until somebody reads them: counting without waiting for the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor


class Tally:
    """Sums by name, over batches and ranks. ``add`` never synchronises; ``read`` does, once.

    Attributes:
        totals: what was read so far, plain numbers, the same on all ranks.
    """

    def __init__(self, fetch: Callable[[Tensor], list[Any]]) -> None:
        self.fetch = fetch
        self.totals: dict[str, Any] = {}
        self._pending: dict[str, Tensor] = {}

    def add(self, values: dict[str, Tensor]) -> None:
        """Add the sum of each tensor to its name. Exact for counts below 2^24 between two readings."""
        for name, value in values.items():
            total = value.detach().sum().to(torch.float32)
            self._pending[name] = self._pending[name] + total if name in self._pending else total

    def read(self, trainer: Trainer) -> dict[str, Any]:
        """Bring what is pending into ``totals``, summed over the ranks. Collective."""
        if self._pending:
            sums = trainer.strategy.reduce(torch.stack(list(self._pending.values())), reduce_op="sum")
            for name, value in zip(self._pending, self.fetch(sums), strict=True):
                self.totals[name] = self.totals.get(name, 0.0) + value
            self._pending = {}
        return self.totals
