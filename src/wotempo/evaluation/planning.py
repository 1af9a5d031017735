"""Plans of a checkpoint for many scenes, by batched inference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import lightning as L
import numpy as np

from wotempo.batch import Batch
from wotempo.checkpoints.init_from import read_checkpoint, require_same_weights
from wotempo.config.schema import DataConfig
from wotempo.data import require_history
from wotempo.navsim import DataPaths, Scene
from wotempo.preparation.datamodule import cache_root, data_module, needs_of
from wotempo.training.history_evidence import HistoryTally
from wotempo.training.module import LitPlanner

VARIANTS = ("model", "imitation", "untrained")


def load_module(path: Path, variant: str = "model") -> LitPlanner:
    """The model of a checkpoint, built from what the checkpoint says about itself: ``model``, ``imitation`` (goes by
    its imitation reward alone) or ``untrained`` (keeps the anchors only)."""
    checkpoint = read_checkpoint(path)
    anchors = checkpoint["state_dict"]["model.trajectory_anchors"].numpy()
    sizes = dict(checkpoint["hyper_parameters"]["model"])
    if variant == "imitation":
        sizes["reward_weights"] = [1.0, 0.0, 0.0, 0.0]
    module = LitPlanner(**{**checkpoint["hyper_parameters"], "model": sizes, "anchors": anchors})
    if variant != "untrained":
        require_same_weights(path, checkpoint["state_dict"], module.state_dict())
        module.load_state_dict(checkpoint["state_dict"])
    return module.eval()


class Planner(L.LightningModule):
    """``predict_step`` for a trainer: tokens and planned trajectories. ``tally``, if any, looks at every batch."""

    def __init__(self, module: LitPlanner, tally: HistoryTally | None = None) -> None:
        super().__init__()
        self.module = module
        self.tally = tally

    def predict_step(self, batch: Batch, batch_idx: int) -> list[tuple[str, np.ndarray]]:
        if self.tally is not None:
            self.tally.add(self.module, batch)
        plans = self.module(batch)["trajectory"].float().cpu().numpy()
        return list(zip(batch["tokens"], plans, strict=True))


def plan_all(
    module: LitPlanner,
    data: DataConfig,
    workspace: str,
    paths: DataPaths,
    scenes: list[Scene],
    progress: Callable[[str, int, int], None],
    *,
    batch_size: int,
    num_workers: int,
    accelerator: str,
    precision: str,
    progress_bar: bool,
    tally: HistoryTally | None = None,
) -> dict[str, np.ndarray]:
    """token -> (8, 3) poses in the ego frame, every 0.5 s. ``tally`` collects what history changes in these plans."""
    require_history(scenes, module.num_frames, module.frame_stride, "the split")
    module_data = data_module(
        module.model.config,
        data,
        paths,
        cache_root(data, workspace, paths),
        {"predict": scenes},
        module.model.trajectory_anchors.detach().numpy(),
        batch_size=batch_size,
        num_workers=num_workers,
        **needs_of(module),
        progress=progress,
    )
    module_data.build_caches()
    trainer = L.Trainer(
        accelerator=accelerator,
        precision=cast(Any, precision),
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=progress_bar,
        enable_model_summary=False,
    )
    batches = trainer.predict(Planner(module, tally), datamodule=module_data)
    return dict(pair for batch in batches or [] for pair in batch)
