"""The LightningModule around a planner: steps, optimiser, metrics, and what the acceptance criteria read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from wotempo.batch import SUPERVISION, Batch
from wotempo.configs import completed
from wotempo.planners.config import OLDEST, ModelConfig
from wotempo.planners.registry import build_planner, loss_weights
from wotempo.training.optimiser import OptimiserConfig, build_optimiser

ANCHORS = "model.trajectory_anchors"  # where a checkpoint holds the anchors of a planner that has some


class LitPlanner(L.LightningModule):
    """Hyperparameters are plain data, so that checkpoints load with ``weights_only=True``.

    model, fusion, optimiser, losses: the fields of ``ModelConfig``, the stage's ``name`` and keywords, the fields of
    ``OptimiserConfig`` and of the planner's ``loss_weights``. ``anchors`` (N, 8, 3), for planners that choose among
    some, are needed once: later they are in the checkpoint. ``anchors_fingerprint`` says which anchors the reward
    labels belong to. ``planner``: its name; checkpoints that say none are WoTE's.
    """

    def __init__(
        self,
        model: dict[str, Any],
        fusion: dict[str, Any],
        optimiser: dict[str, Any] | None = None,
        losses: dict[str, Any] | None = None,
        anchors: np.ndarray | None = None,
        anchors_fingerprint: str = "",
        planner: str = OLDEST,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["anchors"])
        self.model = build_planner(planner, ModelConfig(**completed("model", model)), fusion, anchors)
        self.weights = loss_weights(planner, losses)
        self.optimiser_config = OptimiserConfig(**completed("optimiser", optimiser))
        self.metrics = self.model.metrics()
        self.loss_terms: dict[str, Tensor] = {}
        self.validated: dict[str, Tensor] = {}

    # ------------------------------------------------------------------ steps

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Batched inference: the planned trajectory and what led to it."""
        return self.model.plan(batch)

    def terms_of(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted loss terms of a batch; their plain sum is the loss."""
        return self.model.losses(self.model(batch), batch, self.weights)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.loss_terms = self.terms_of(batch)
        loss = torch.stack(list(self.loss_terms.values())).sum()
        size = len(batch["tokens"])
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=size)
        self.log_dict({f"train/{k}": v.detach() for k, v in self.loss_terms.items()}, batch_size=size)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        if "trajectory" not in batch:  # the logs of the split hold no boxes, and it has no targets
            self.validated = {"plan": self.model.plan(batch)["trajectory"]}
            return
        predictions = self.model(batch)
        terms = self.model.losses(predictions, batch, self.weights)
        self.log("val/loss", torch.stack(list(terms.values())).sum(), batch_size=len(batch["tokens"]), sync_dist=True)
        plan = self.model.select(predictions["fused_bev"], batch["status"])
        self.metrics.update({**predictions, **plan}, batch)
        self.validated = {"plan": plan["trajectory"], "expert": batch["trajectory"]}

    def on_validation_epoch_end(self) -> None:
        if "expert" not in self.validated:
            return
        self.log_dict(self.metrics.compute(), sync_dist=True)
        self.metrics.reset()

    def configure_optimizers(self):
        total = int(self.trainer.estimated_stepping_batches)
        optimiser, schedule, interval = build_optimiser(self.model, self.optimiser_config, total)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": interval}}

    # ------------------------------------------------------------------ what the acceptance criteria read

    @classmethod
    def rebuild(cls, checkpoint: Mapping[str, Any]) -> LitPlanner:
        """The module of a checkpoint (``hyper_parameters``, ``state_dict``), from what it says about itself alone."""
        module = cls.untrained(checkpoint["hyper_parameters"], checkpoint["state_dict"])
        module.load_state_dict(checkpoint["state_dict"])
        return module

    @classmethod
    def untrained(cls, hyperparameters: Mapping[str, Any], state: Mapping[str, Tensor]) -> LitPlanner:
        """The module that a checkpoint describes, before its weights are loaded; only the anchors are the state's."""
        anchors = state.get(ANCHORS)
        return cls(**hyperparameters, anchors=None if anchors is None else anchors.float().numpy())

    def drive(self, batch: Batch) -> Tensor:
        """The planned trajectories (B, P, 3)."""
        return self(batch)["trajectory"]

    @property
    def frozen(self) -> dict[str, str]:
        """What is not trained on purpose, and why."""
        found = {f"model.{name}": why for name, why in self.model.not_trained(self.weights).items()}
        config = self.optimiser_config
        if config.fusion_multiplier == 0:
            found["model.fusion"] = "optimiser.fusion_multiplier is 0"
        if config.image_encoder_multiplier == 0:
            found["model._backbone.image_encoder"] = "optimiser.image_encoder_multiplier is 0"
        return found

    @property
    def fixed_plans(self) -> Tensor | None:
        """The anchors (N, P, 3); None where the planner has none."""
        return getattr(self.model, "trajectory_anchors", None)

    @property
    def temporal_fusion(self) -> nn.Module:
        return self.model.fusion

    @property
    def num_frames(self) -> int:
        return self.model.fusion.num_frames

    @property
    def frame_stride(self) -> int:
        """Frames of the log from one frame of a window to the next."""
        return self.model.fusion.frame_stride

    @property
    def is_temporal(self) -> bool:
        """Whether the fusion stage sees more than the current frame."""
        return self.num_frames > 1

    @property
    def raw_history(self) -> bool:
        """Whether the fusion stage is given inputs, so that no encoder lies before it."""
        return self.model.fusion.takes_points

    @property
    def unjudged(self) -> dict[str, str]:
        """Criteria that a control breaks on purpose, and why."""
        return dict(self.model.fusion.unjudged)

    def warp_history(self, maps: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The stage's own warp of LiDAR maps (B, T, 1, R, C) onto the current frame -> (warped, mask)."""
        return self.model.warp_history(maps, batch)

    def shape_contract(self, split: str) -> dict[str, str]:
        """Named dimensions of the batch, the fusion stage and the heads (see callbacks.base.protocol)."""
        contract = self.model.shape_contract()
        data = getattr(self._trainer, "datamodule", None)
        if split in getattr(data, "supervised", (split,)):
            return contract
        # The logs of the split hold no boxes: its batches have no targets, and the planner only plans.
        absent = {f"batch.{name}" for name in SUPERVISION}
        return {p: shape for p, shape in contract.items() if p not in absent and not p.startswith("model:out.")}
