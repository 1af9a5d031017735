"""Planner: what training, evaluation, streaming, reports and the official agent know of a model that drives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from wotempo.batch import Batch
from wotempo.fusion import TemporalFusion
from wotempo.needs import WindowNeeds
from wotempo.planners.backbone.network import Backbone
from wotempo.planners.config import ModelConfig
from wotempo.planners.metrics import PlanMetrics


class Planner(nn.Module, ABC):
    """From the batch of a data module to a trajectory: frames are encoded, a fusion stage makes one BEV map of each
    window, heads plan on it. ``BevPlanner`` has everything but the heads.

    B samples, P poses of a trajectory (x, y in metres, heading in radians, ego frame, every 0.5 s), C channels on the
    rows × cols cells of the BEV map, K classes of the semantic map.

    Outputs are dicts of tensors by name. Names that others read:

    - of ``forward`` and ``predict``: ``fused_bev`` (B, C, rows, cols), always;
    - of ``plan`` and ``select``: ``trajectory`` (B, P, 3), ``bev_semantic_map`` logits (B, K, *map) and ``fused_bev``,
      always; where the planner chooses among N trajectories, ``all_trajectory`` (B, N, P, 3) and ``final_rewards``
      (B, N), higher is better;
    - of ``forward`` where the planner imagines the future: ``fut_bev_semantic_map`` logits (B·S, K, *map).

    What reads one of the optional names is left out, with the reason, for a planner without it.
    """

    loss_weights: ClassVar[type[Any]]
    """A dataclass of plain numbers, the keys of ``losses`` in the configuration (``configs/planner/<name>.yaml``)."""
    needs_anchors: ClassVar[bool] = False
    """Whether it is built with anchors, and its batches bring the future of some of them."""
    needs_labels: ClassVar[bool] = False
    """Whether its batches bring the simulated scores of the anchors. Without them nothing is labelled."""
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})
    """Other ways to plan with the same weights, to be evaluated beside it: name -> what changes of ``ModelConfig``."""

    config: ModelConfig
    fusion: TemporalFusion

    @classmethod
    @abstractmethod
    def build(cls, config: ModelConfig, fusion: TemporalFusion, anchors: np.ndarray | None) -> Planner:
        """``fusion`` is built for the channels and grid of its level (``config.level``). ``anchors`` (N, P, 3), of the
        run or of the checkpoint that will be loaded; None for planners without. UserError where sizes do not fit."""

    @classmethod
    def window_needs(cls, config: ModelConfig, fusion: TemporalFusion) -> WindowNeeds:
        """What the batches of a planner of ``config`` with this stage must bring; the stage may be of any size."""
        lidar_alone = config.history_sensors == "lidar" or fusion.takes_points
        return WindowNeeds(
            frames=fusion.num_frames,
            stride=fusion.frame_stride,
            history_sensors=("lidar",) if lidar_alone else ("camera", "lidar"),
            stacks=fusion.takes_points,
            motion=fusion.needs_motion,
            futures=config.path_scores,
            anchors=cls.needs_anchors,
            labels=cls.needs_labels,
        )

    @property
    def needs(self) -> WindowNeeds:
        return self.window_needs(self.config, self.fusion)

    @property
    def anchors(self) -> np.ndarray | None:
        """(N, P, 3) float32 that it chooses from, its parameter ``trajectory_anchors``; None for planners without."""
        anchors = getattr(self, "trajectory_anchors", None)
        return None if anchors is None else anchors.detach().float().cpu().numpy()

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        return self._weight.dtype

    @property
    def device(self) -> torch.device:
        """Of its weights."""
        return self._weight.device

    @property
    def _weight(self) -> Tensor:
        return self.frame_encoder.image_encoder.conv1.weight  # type: ignore[return-value]  # timm types it as a module

    @property
    @abstractmethod
    def frame_encoder(self) -> Backbone:
        """What encodes frames: frozen, cached and given ImageNet weights as one."""

    # ---- from a batch

    @abstractmethod
    def forward(self, batch: Batch, supervise: bool = True) -> dict[str, Tensor]:
        """A batch of ``wotempo.data`` -> everything that ``losses`` reads. ``supervise``: False for a batch without
        targets, where what is compared with targets alone is left out."""

    @abstractmethod
    def plan(self, batch: Batch) -> dict[str, Tensor]:
        """What to drive, for any number of samples: ``select`` of the batch's windows. Keeps no graph."""

    @abstractmethod
    def losses(self, outputs: dict[str, Tensor], batch: Batch, weights: Any) -> dict[str, Tensor]:
        """``forward``'s outputs and the batch they came from -> name of the term -> weighted scalar; their plain sum is
        minimised. ``weights``: a ``loss_weights``."""

    def not_trained(self, weights: Any) -> dict[str, str]:
        """Names of modules and parameters that a run with these ``loss_weights`` does not train, and why."""
        return {}

    @abstractmethod
    def metrics(self) -> PlanMetrics:
        """What it is validated by: updated with ``{**forward's outputs, **select's}`` and the batch. ``val/ade``
        chooses the best checkpoint."""

    @abstractmethod
    def shape_contract(self) -> dict[str, str]:
        """Named dimensions of the batch, the fusion stage and the outputs, as {place: "B T 3 float"}. Places:
        ``batch.<field>``, ``model.fusion:in.0``, ``model:out.<name>`` (callbacks.base.protocol)."""

    @abstractmethod
    def warp_history(self, maps: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The stage's own alignment of LiDAR maps (B, T, 1, R, C) with the current frame -> (warped, mask), both
        (B, T, 1, R, C), the mask bool."""

    # ---- the parts, for streams and probes

    @abstractmethod
    def encode(self, camera: Tensor, lidar: Tensor, shown: Tensor | None = None) -> Tensor:
        """camera (K, 3, H, W), lidar (F, 1, R, C), floats in [0, 1] -> one map per frame (F, C, rows, cols). The images
        are those of the first K ≤ F frames. shown (F,): in how many windows each frame is seen; None: once."""

    @abstractmethod
    def select(self, fused: Tensor, status: Tensor) -> dict[str, Tensor]:
        """fused (B, C, rows, cols), status (B, 8): command one-hot, velocity, acceleration in ego axes -> the plan."""

    def anchor_scores(self, fused: Tensor, status: Tensor) -> Tensor | None:
        """As ``select`` is given them -> what the planner predicts of its anchors themselves, unrefined, as floats in
        [0, 1] (B, 5, N): NC, DAC, EP, TTC, comfort. None for a planner that predicts no sub-scores."""
        return None
