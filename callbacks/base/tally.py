"""Named sums over a run that stay on the device until they are read, so that counting does not wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor


class Tally:
    """Sums by name, over batches and ranks. ``add`` never synchronises; ``read`` does, once.

    Args:
        fetch: brings a tensor to the host.
        names: of all sums. A rank that had nothing to add takes part in ``read`` all the same, with zeros.

    Attributes:
        totals: what was read so far, plain numbers; the same on all ranks, unless read with ``own``.
        own: the part of this rank, since its process began: a checkpoint does not keep it.
        obstacle: why a batch of this rank could not be counted.
    """

    def __init__(self, fetch: Callable[[Tensor], list[Any]], names: Sequence[str]) -> None:
        self.fetch = fetch
        self.names = list(names)
        self.obstacle = ""
        self.totals: dict[str, Any] = {}
        self.own: dict[str, float] = {}
        self._pending: dict[str, Tensor] = {}
        self._seen = False

    def add(self, values: dict[str, Tensor]) -> None:
        """Add the sum of each tensor to its name. Exact for counts below 2^24 between two readings."""
        self._seen = True
        for name, value in values.items():
            total = value.detach().sum().to(torch.float32)
            self._pending[name] = self._pending[name] + total if name in self._pending else total

    def read(self, trainer: Trainer, own: bool = False) -> dict[str, Any]:
        """Bring what is pending into ``totals``, summed over the ranks: collective. With ``own`` that of this rank
        alone, without a collective."""
        alone = own or trainer.world_size == 1
        if self._pending or not alone:
            zero = torch.zeros((), device=trainer.strategy.root_device)
            mine = torch.stack([self._pending.get(name, zero) for name in self.names])
            sums = mine if alone else trainer.strategy.reduce(mine.clone(), reduce_op="sum")  # in place
            for kept, values in zip((self.own, self.totals), self.fetch(torch.stack([mine, sums])), strict=True):
                for name, value in zip(self.names, values, strict=True):
                    kept[name] = kept.get(name, 0.0) + value
            self._pending = {}
        return self.totals

    def blind(self) -> str:
        """The reason why the counts of this rank do not cover all of its batches; '' where they do."""
        return self.obstacle or ("" if self._seen or any(self.totals.values()) else "no batch was seen")
