"""The files that the run's ``ModelCheckpoint``s claim to have written."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


def claimed_checkpoints(trainer: Trainer) -> list[str]:
    """Last and best ones, each file once (``last`` may be a link to the best)."""
    writers = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    claimed: Iterable[str] = (p for w in writers for p in (w.last_model_path, w.best_model_path, *w.best_k_models) if p)
    return list({os.path.realpath(path): path for path in claimed}.values())


def newest_checkpoint(trainer: Trainer) -> str | None:
    """The one of the latest step; None where none was written, or a file cannot be read (``checkpoint`` says why)."""
    steps = {path: _step(path) for path in claimed_checkpoints(trainer)}
    return max(steps, key=steps.__getitem__) if steps and min(steps.values()) >= 0 else None


def _step(path: str) -> int:
    try:
        return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["global_step"])
    except Exception:  # whatever is wrong with it
        return -1
