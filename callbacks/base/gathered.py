"""Small fields of batches, held until they are looked at together: thirty small batches cost as much as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor


class Gathered:
    """Of each batch the ``fields``, tensors of (B, T, ...), on their device.

    Args:
        fields: by name.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        self.fields = fields
        self._held: dict[int, list[dict[str, Tensor]]] = {}

    def add(self, batch: Any) -> None:
        """Hold the fields of a batch. It must have them, and not be written to before ``take``."""
        held = {name: batch[name] for name in self.fields}
        self._held.setdefault(held[self.fields[0]].shape[1], []).append(held)

    def take(self) -> Iterator[dict[str, Tensor]]:
        """What is held, as one batch for each T; nothing is held then."""
        held, self._held = self._held, {}
        for parts in held.values():
            yield {name: torch.cat([part[name] for part in parts]) for name in self.fields}
