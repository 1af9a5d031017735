"""The random streams of every rank, kept in checkpoints."""

from __future__ import annotations

from typing import Any

import lightning as L

from callbacks.base.guard import share
from callbacks.base.random_state import random_state, set_random_state
from wotempo.errors import UserError

KEY = "random_state"


class RandomState(L.Callback):
    """Saves the streams of all ranks and gives each rank its own back before the first batch."""

    def __init__(self) -> None:
        self._loaded: list[dict[str, Any]] | None = None

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = share(trainer, random_state(pl_module.device))

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self._loaded = checkpoint.get(KEY)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Not earlier: building the model and the loaders drew from the streams, too.
        if self._loaded is not None:
            if len(self._loaded) != trainer.world_size:
                raise UserError(
                    f"the interrupted run had {len(self._loaded)} processes, this one has {trainer.world_size}: go on "
                    "with as many devices, or start anew with fresh=true"
                )
            set_random_state(self._loaded[trainer.global_rank], pl_module.device)
        self._loaded = None
