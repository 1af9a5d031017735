"""The part that planners on the two-branch backbone share: from frames to one fused BEV map per window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wotempo.batch import Batch
from wotempo.errors import UserError
from wotempo.fusion import TemporalFusion
from wotempo.geometry import BevGrid, compose, inverse
from wotempo.planners.backbone.batch_norm import counting
from wotempo.planners.backbone.frames import (
    gather_windows,
    host_rows,
    learning_frames,
    lidar_history,
    on_device,
    unit_range,
    used_frames,
)
from wotempo.planners.backbone.network import Backbone, Fuse
from wotempo.planners.backbone.recompute import recomputed
from wotempo.planners.base import Planner
from wotempo.planners.config import LEVELS, ModelConfig


class BevPlanner(Planner):
    """Frames are encoded one by one (``encode``), the stage makes one map of a window (``fuse``); a subclass adds what
    plans on it: ``forward`` for training and ``select`` for driving.

    ``_backbone`` and ``fusion`` are state-dict keys of published checkpoints and of ours.
    """

    def __init__(self, config: ModelConfig, fusion: TemporalFusion) -> None:
        """``fusion`` built for the channels and grid of its level. UserError where it does not fit ``config``."""
        super().__init__()
        check_place(config, fusion)
        self.config = config
        self._backbone = Backbone(config)
        self.fusion = fusion
        if config.frozen_backbone:
            self._backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> BevPlanner:
        """As every module's; a frozen backbone stays in evaluation."""
        super().train(mode)
        if self.config.frozen_backbone:
            self._backbone.eval()
        return self

    def not_trained(self, weights: Any) -> dict[str, str]:
        """See ``Planner``."""
        return {"_backbone": "model.frozen_backbone is true"} if self.config.frozen_backbone else {}

    @property
    def frame_encoder(self) -> Backbone:
        return self._backbone

    # ---- from a batch

    @torch.no_grad()
    def plan(self, batch: Batch) -> dict[str, Tensor]:
        """See ``Planner``."""
        return self.select(self.fused(batch), batch["status"])

    @property
    def unfolds(self) -> int:
        """How many cells of the stage's map lie along a side of a cell of the fused one and are folded into its
        channels; 0 where none are: heads that read what lies along a path want the finer map, too."""
        inside = self.fusion.level in LEVELS and self.fusion.level != "bev8"
        return self.stage_grid.rows // self.config.bev_grid.rows if inside and self.config.path_scores else 0

    def _unfolded(self, fused: Tensor) -> tuple[Tensor, Tensor | None]:
        """``fused`` -> the backbone's map (B, C, rows, cols), and the stage's finer one where it is folded in."""
        if not self.unfolds:
            return fused, None
        coarse, folded = fused.split((self.config.bev_channels, fused.shape[1] - self.config.bev_channels), 1)
        return coarse, F.pixel_shuffle(folded, self.unfolds)

    def fused(self, batch: Batch) -> Tensor:
        """The map of every window of the batch, on which heads plan: (B, C, rows, cols). With ``unfolds`` u, the
        stage's map of u × u cells for each of these follows in further C'·u² channels (``pixel_unshuffle``)."""
        if self.fusion.takes_points:
            return self._encode_stacked(batch)
        view = used_frames(batch, self.fusion.num_frames)
        if self.config.history_sensors == "lidar":
            view = lidar_history(view)
        if self.fusion.level == "bev8":
            return self._revealed(self.fuse(self._frame_maps(view), view), batch)
        camera, lidar = self._inputs(view)

        def run(camera: Tensor, lidar: Tensor) -> Tensor:
            finer: list[Tensor] = []

            def fused(bev: Tensor) -> Tensor:
                finer.append(self._revealed(self.fuse(bev, view), batch))
                return finer[-1]

            fuse = Fuse(LEVELS[self.fusion.level], fused, view["frame_index"][:, -1])
            coarse = self._backbone(camera, lidar, fuse)
            if not self.unfolds:
                return coarse
            return torch.cat((coarse, F.pixel_unshuffle(finer[-1], self.unfolds)), 1)

        return self._run(self._backbone, run, camera, lidar)

    def _revealed(self, fused: Tensor, batch: Batch) -> Tensor:
        """The fused map at the stage's level, with what an oracle adds to it."""
        if not self.fusion.needs_motion:
            return fused
        return self.fusion.reveal(fused, batch["agent_motion"].to(fused.dtype))

    def warp_history(self, maps: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """See ``Planner``."""
        if self.fusion.takes_points:
            return self._aligned_stack(batch)
        grid = self.config.bev_grid.with_shape(*maps.shape[-2:])
        return self.fusion.warp_history(maps, batch["pose"], batch["valid"], grid=grid)

    def _aligned_stack(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The LiDAR history as the data moved it, as occupancy: (B, T, 1, R, C) float and the mask (B, T, 1, R, C).

        Poses in the batch other than those that it was moved by (the criterion ``warp_gain`` tries some) move it on by
        the difference.
        """
        further = compose(batch["pose"].double(), inverse(batch["lidar_stack_pose"].double()))
        occupied = (batch["lidar_stack"] > 0).to(self.dtype)
        return TemporalFusion.warp_history(self.fusion, occupied, further, batch["valid"], self.config.lidar_grid)

    # ---- the parts

    def encode(self, camera: Tensor, lidar: Tensor, shown: Tensor | None = None) -> Tensor:
        """See ``Planner``; ``shown`` is for weighted batch norms."""

        def run(camera: Tensor, lidar: Tensor) -> Tensor:  # counts in here, so that a recomputation counts again
            of_images = None if shown is None else shown[: len(camera)]
            backbone = self._backbone
            with counting(backbone.image_encoder, of_images), counting(backbone.lidar_encoder, shown):
                return self._backbone(camera, lidar)

        return self._run(self._backbone, run, camera, lidar)

    def fuse(self, bev: Tensor, batch: Batch) -> Tensor:
        """bev (F, C, H, W) at the stage's level, and the batch's windows (B, T[, 3]) -> (B, C, H, W)."""
        last = {key: batch[key][:, -self.fusion.num_frames :] for key in ("frame_index", "valid", "pose", "dt")}
        windows = gather_windows(bev, last["frame_index"], last["valid"])
        if self.config.history_grad is not None:
            cut = max(self.fusion.num_frames - 1 - self.config.history_grad, 0)
            windows = torch.cat((windows[:, :cut].detach(), windows[:, cut:]), 1)
        return self.fusion(windows, last["pose"], last["dt"], last["valid"])

    @property
    def stage_grid(self) -> BevGrid:
        """The raster of ``stage_maps``."""
        return self.config.level(self.fusion.level)[1]

    def stage_maps(self, camera: Tensor, lidar: Tensor) -> Tensor:
        """camera (F, 3, H, W), lidar (F, 1, R, C), floats in [0, 1] -> the maps that the stage is given of each frame,
        at its level (F, C, rows, cols). UserError where it works on points, before there are maps."""
        if self.fusion.takes_points:
            raise UserError(
                "the fusion stage works on points, before there are maps to probe: give a checkpoint of another"
            )
        if self.fusion.level == "bev8":
            return self.encode(camera, lidar)
        maps: list[Tensor] = []

        def keep(bev: Tensor) -> Tensor:
            maps.append(bev)
            return bev

        frames = torch.arange(len(lidar), device=lidar.device)
        self._backbone(camera, lidar, Fuse(LEVELS[self.fusion.level], keep, frames))
        return maps[0]

    # ---- inside

    def _run(self, module: nn.Module, function: Callable[..., Any], *inputs: Any) -> Any:
        if self.config.activation_checkpointing and torch.is_grad_enabled():
            return recomputed(module, function, *inputs)
        return function(*inputs)

    def _encode_stacked(self, batch: Batch) -> Tensor:
        """Fuses what enters the LiDAR branch, and encodes the current frames alone."""
        if "lidar_stack" not in batch:
            raise ValueError("the fusion stage works on points, but the batch holds no lidar_stack")
        dtype, t = self.dtype, self.fusion.num_frames
        stack, pose, dt, valid = (batch[key][:, -t:] for key in ("lidar_stack", "pose", "dt", "valid"))
        lidar = self.fusion(unit_range(stack, self.config.lidar_max, dtype, "lidar_stack"), pose, dt, valid)
        view = used_frames(batch, 1)
        camera = unit_range(view["camera"], 255, dtype, "camera")[view["frame_index"][:, -1]]
        return self.encode(camera, lidar)

    def _inputs(self, view: Batch) -> tuple[Tensor, Tensor]:
        """Camera and LiDAR of the view in [0, 1]."""
        camera = unit_range(view["camera"], 255, self.dtype, "camera")
        return camera, unit_range(view["lidar"], self.config.lidar_max, self.dtype, "lidar")

    def _frame_maps(self, view: Batch) -> Tensor:
        """One map per frame of the view (F, C, rows, cols): of the cache that the batch brings, or encoded, without
        gradient for the frames that shall pass none (``history_grad``)."""
        if "bev" in view:
            return view["bev"].to(self.dtype)
        camera, lidar = self._inputs(view)
        history, count = self.config.history_grad, len(lidar)
        rows, device = host_rows(view), lidar.device
        shown = on_device(np.bincount(rows[rows >= 0], minlength=count), device)
        if history is None or not torch.is_grad_enabled():
            return self.encode(camera, lidar, shown)
        learns = learning_frames(rows, history, count)
        if learns.all():
            return self.encode(camera, lidar, shown)

        def encoded(frames: np.ndarray) -> Tensor:
            chosen, with_image = (on_device(x, device) for x in (frames, frames[frames < len(camera)]))
            return self.encode(camera[with_image], lidar[chosen], shown[chosen])

        first, second = np.flatnonzero(learns), np.flatnonzero(~learns)
        learned = encoded(first)
        with torch.no_grad():
            given = encoded(second)
        return torch.cat((learned, given))[on_device(np.concatenate((first, second)).argsort(), device)]

    def _partly_hidden(self, scene: Tensor) -> Tensor:
        """In training, zeros for whole samples (``scene_dropout``) and for cells (``cell_dropout``) of (B, L, d).

        Not rescaled: a hidden scene means "not seen", and what is seen keeps its size.
        """
        c = self.config
        if not self.training or not (c.scene_dropout or c.cell_dropout):
            return scene
        seen = torch.rand(len(scene), 1, 1, device=scene.device) >= c.scene_dropout
        return scene * (seen & (torch.rand(scene.shape[:2], device=scene.device)[..., None] >= c.cell_dropout))


def check_place(config: ModelConfig, fusion: TemporalFusion) -> None:
    """UserError where a fusion stage does not fit the maps of its level, or ``config`` asks there for what its level
    excludes."""
    c = config
    if (fusion.channels, fusion.grid) != (offered := c.level(fusion.level)):
        raise UserError(
            f"the fusion stage is built for {fusion.channels} channels on {fusion.grid} at level '{fusion.level}', "
            f"the model offers {offered[0]} channels on {offered[1]} there"
        )
    if fusion.level != "bev8" and (c.batch_norm == "weighted" or c.history_grad is not None):
        raise UserError(
            f"fusion.level is '{fusion.level}', inside the encoder, where model.batch_norm=weighted and "
            "model.history_grad do not reach: set them to batch and null, or fusion.level=bev8"
        )
    if c.frozen_backbone and (fusion.level != "bev8" or c.history_sensors != "both" or c.history_grad is not None):
        raise UserError(
            f"model.frozen_backbone=true caches one map per frame: set fusion.level=bev8 (it is '{fusion.level}'), "
            f"model.history_sensors=both (it is '{c.history_sensors}') and model.history_grad=null"
        )
