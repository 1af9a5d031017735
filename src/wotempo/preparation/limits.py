"""Limits of the machine against what a run will take, from its configuration alone: before anything is prepared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wotempo.config.schema import RunConfig
from wotempo.data.disk_room import lacking_room
from wotempo.data.shared_memory import batch_bytes, require_room
from wotempo.errors import UserError
from wotempo.planners.registry import build_planner
from wotempo.preparation.datamodule import feature_spec, target_spec
from wotempo.preparation.windows import window_needs


def training_batch_bytes(config: RunConfig) -> int:
    """Bytes of a batch of one process."""
    model, trainer = config.model, config.trainer
    how = (trainer.batch_size, trainer.run_length, model.num_anchors)
    specs = (feature_spec(model), target_spec(model), window_needs(config))
    return batch_bytes(*specs, *how, images=not model.frozen_backbone)


def check_limits(config: RunConfig) -> None:
    """UserError where the loader's workers will not get the shared memory that they need."""
    if config.trainer.num_workers:
        require_room(training_batch_bytes(config), config.trainer.num_workers)


FILES_OF_A_RUN = 10  # the configuration, the verdict and the figures beside the checkpoints
STEPS_AND_PARTIAL = 3  # two checkpoints in the middle of epochs, and the one that is being written
ANOTHER_FOLDER = "free some space, or give run_dir=<folder on another disk>"


@dataclass(frozen=True)
class CheckpointRoom:
    """Bytes that checkpoints take: ``size`` of one, about and no more; ``kept`` stay when the run ends."""

    size: int
    kept: int

    @property
    def most(self) -> int:
        """While the run lasts."""
        return self.size * (self.kept + STEPS_AND_PARTIAL)


def checkpoint_room(config: RunConfig) -> CheckpointRoom:
    """Weights and the two moments that AdamW keeps of each that is trained. The model is built for it: 0.6 s at full
    size."""
    model, ema = config.model, config.trainer.ema is not None
    anchors = np.zeros((model.num_anchors, model.num_poses, 3), np.float32)
    with torch.random.fork_rng(devices=[]):
        planner = build_planner(config.planner, model, config.fusion, anchors)
    weights = sum(value.nbytes for value in planner.state_dict().values())
    moments = 2 * sum(value.nbytes for value in planner.parameters() if value.requires_grad)
    return CheckpointRoom(weights * (1 + ema) + moments, 1 + (config.trainer.limit_val_batches != 0))


def lacking_checkpoints(room: CheckpointRoom, run_dir: Path) -> str | None:
    """A sentence where the checkpoints of a run certainly do not fit in its folder, else None. Those of an attempt
    before are written over, one after the other."""
    folder = run_dir / "checkpoints"
    here = sum(file.stat().st_size for file in folder.glob("*.ckpt"))
    size = max(room.size * room.kept - here, room.size)
    return lacking_room("the checkpoints", folder, size, room.kept + FILES_OF_A_RUN, room.size)


def check_checkpoint_room(config: RunConfig) -> None:
    """UserError where the disk has no room for the checkpoints of a run."""
    if (reason := lacking_checkpoints(checkpoint_room(config), Path(config.run_dir))) is not None:
        raise UserError(f"{reason}: {ANOTHER_FOLDER}")
