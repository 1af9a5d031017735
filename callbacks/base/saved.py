"""The files that the run's ``ModelCheckpoint``s claim to have written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from callbacks.base.checksum import read_saved
from callbacks.base.plain import in_one_line


def claimed_checkpoints(trainer: Trainer) -> list[str]:
    """Last and best ones, each file once (``last`` may be a link to the best)."""
    writers = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    claimed: Iterable[str] = (p for w in writers for p in (w.last_model_path, w.best_model_path, *w.best_k_models) if p)
    return list({os.path.realpath(path): path for path in claimed}.values())


def newest_checkpoint(trainer: Trainer) -> tuple[Mapping[str, Any] | None, str]:
    """(content of the one of the latest step, ''); (None, why) where none was written, or one of them is of no use."""
    newest: Mapping[str, Any] | None = None
    for path in claimed_checkpoints(trainer):
        try:
            content = read_saved(path, mapped=True)
            if newest is None or int(content["global_step"]) > int(newest["global_step"]):
                newest = content
        except Exception as error:  # whatever is wrong with it: ``checkpoint`` fails for it
            return None, f"{os.path.basename(path)} cannot be used: {in_one_line(error)}"
    return newest, "" if newest is not None else "nothing was saved"
