"""Limits of the machine against what a run will take, from its configuration alone: before anything is prepared."""

from __future__ import annotations

from wotempo.config.schema import RunConfig
from wotempo.data.shared_memory import batch_bytes, require_room
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
