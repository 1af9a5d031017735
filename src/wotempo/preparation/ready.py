"""The data module of a run, built from its configuration, with everything on disk that it needs."""

from __future__ import annotations

import torch

from wotempo.config.schema import RunConfig
from wotempo.data.module import NavsimDataModule
from wotempo.preparation.datamodule import cache_root, data_module
from wotempo.preparation.prepare import Prepared, prepare
from wotempo.preparation.progress import PreparationProgress
from wotempo.preparation.windows import window_needs


def build_data(config: RunConfig, prepared: Prepared, progress) -> NavsimDataModule:
    trainer = config.trainer
    return data_module(
        config.model,
        config.data,
        prepared.paths,
        cache_root(config.data, config.workspace, prepared.paths),
        prepared.scenes,
        prepared.anchors,
        window_needs(config),
        labels=prepared.labels,
        batch_size=trainer.batch_size,
        run_length=trainer.run_length,
        num_workers=trainer.num_workers,
        pin_memory=trainer.accelerator == "gpu",
        seed=config.seed,
        progress=progress,
    )


def prepare_data(config: RunConfig) -> tuple[Prepared, NavsimDataModule]:
    """Everything on disk that the run needs, made where it is missing, under a progress bar."""
    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)
    with PreparationProgress(config.trainer.progress_bar) as progress:
        prepared = prepare(config, progress)
        data = build_data(config, prepared, progress)
        data.build_caches()
    return prepared, data
