"""WoTE, single- or multi-frame: anchors are imagined forward on a BEV map, scored, refined, and the best one is driven.

Li et al., "End-to-End Driving with Online Trajectory Evaluation via BEV World Model", ICCV 2025 (arXiv 2504.01941).
Attribute names are the state-dict keys of the published checkpoints; ``fusion`` is the only addition.
Shapes: F frames, B samples, T window, N anchors, P poses, L = rows·cols cells, C channels, K future steps, S sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from wotempo.batch import Batch
from wotempo.errors import UserError
from wotempo.fusion import POINTS, OracleVelocity, TemporalFusion
from wotempo.geometry import compose, inverse
from wotempo.planners.backbone.backbone import Backbone, Fuse
from wotempo.planners.backbone.batch_norm import counting
from wotempo.planners.backbone.encoder import encode, transformer_encoder, wide
from wotempo.planners.backbone.frames import gather_windows, learning_frames, lidar_history, unit_range, used_frames
from wotempo.planners.backbone.recompute import recomputed
from wotempo.planners.config import LEVELS, ModelConfig
from wotempo.planners.wote.action import ego_cells, mlp, splat_weights
from wotempo.planners.wote.agent_head import AgentHead
from wotempo.planners.wote.bev_head import BEVUpsampleHead, to_map
from wotempo.planners.wote.offset import OffsetHead, transformer_decoder
from wotempo.planners.wote.reward import RewardConvNet, final_score
from wotempo.planners.wote.world_model import roll_out


class WoTE(nn.Module):
    """See the module. ``encode`` → ``fuse`` → ``predict`` (training) or ``select`` (driving); ``forward`` and ``plan``
    do all of it on a batch of ``wotempo.data``."""

    def __init__(self, config: ModelConfig, anchors: Tensor, fusion: TemporalFusion) -> None:
        """anchors (N, P, 3) x, y, heading in the ego frame; ``fusion`` built for the channels and grid of its level
        (``config.level``). UserError where they do not fit ``config``."""
        super().__init__()
        c, d = config, config.d_model
        if anchors.shape != (c.num_anchors, c.num_poses, 3):
            raise UserError(
                f"the anchors are {tuple(anchors.shape)}, not ({c.num_anchors}, {c.num_poses}, 3): "
                "give another anchors file, or set model.num_anchors"
            )
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
        if fusion.level != "bev8" and c.history_sensors != "both":
            raise UserError(
                f"fusion.level is '{fusion.level}', in the middle of the exchange with the camera, and "
                f"model.history_sensors={c.history_sensors}: set it to both, or fusion.level=bev8"
            )
        if c.frozen_backbone and (fusion.level != "bev8" or c.history_sensors != "both" or c.history_grad is not None):
            raise UserError(
                f"model.frozen_backbone=true caches one map per frame: set fusion.level=bev8 (it is '{fusion.level}'), "
                f"model.history_sensors=both (it is '{c.history_sensors}') and model.history_grad=null"
            )
        self.config = config
        self._ego_cells = ego_cells(c.bev_grid, c.mode)
        self.trajectory_anchors = nn.Parameter(anchors.float().clone(), requires_grad=False)
        self._backbone = Backbone(c)
        self._bev_downscale = nn.Conv2d(c.bev_channels, d, 1)
        self._status_encoding = nn.Linear(c.status_size, d)
        self._keyval_embedding = nn.Embedding(c.cells, d)

        self.mlp_planning_vb = mlp(3 * c.num_poses, d // 2, d)
        self.cluster_encoder = transformer_encoder(d, c.heads, c.encoder_ffn, c.encoder_layers, c.dropout)
        self.scene_position_embedding = nn.Embedding(1 + c.cells, d)
        self.encode_ego_feat_mlp = mlp(2 * d, d, d)
        self.latent_world_model = transformer_encoder(d, c.heads, c.encoder_ffn, c.encoder_layers, c.dropout)

        self.reward_conv_net = RewardConvNet((c.future_steps + 1) * d, d)
        self.reward_cat_head = mlp((c.future_steps + 2) * d, d, d)
        self.reward_head = mlp(d, d // 2, 1)
        self.sim_reward_heads = nn.ModuleList(mlp(d, d // 2, 1) for _ in range(5))

        self.agent_query_embedding = nn.Embedding(c.num_agents, d)
        self.agent_head = AgentHead(d, c.decoder_ffn, c.bev_grid)
        self.agent_tf_decoder = transformer_decoder(d, c.heads, c.decoder_ffn, c.decoder_layers)

        self.bev_upsample_head = BEVUpsampleHead(c.bev_channels, c.map_channels, c.map_feature_shape)
        self.bev_semantic_head = nn.Sequential(
            nn.Conv2d(c.map_channels, c.map_channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c.map_channels, c.num_bev_classes, 1),
        )
        self._bev_upscale = nn.Conv2d(d, c.bev_channels, 1)
        self.new_scene_bev_feature_pos_embed = nn.Embedding(c.cells, d)

        self.offset_tf_decoder = transformer_decoder(d, c.heads, c.decoder_ffn, c.decoder_layers)
        self.offset_head = OffsetHead(d, c.decoder_ffn, c.num_poses)
        self.offset_score_head = mlp(d, d // 2, 1)
        self.fusion = fusion
        if not c.agent_head:  # parameters that nothing runs must not wait for gradients (DDP)
            for unused in (self.agent_query_embedding, self.agent_head, self.agent_tf_decoder):
                unused.requires_grad_(False)
        if c.frozen_backbone:
            self._backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> WoTE:
        """As every module's; a frozen backbone stays in evaluation."""
        super().train(mode)
        if self.config.frozen_backbone:
            self._backbone.eval()
        return self

    @property
    def raw_history(self) -> bool:
        """Whether the fusion stage is given inputs, so that no encoder lies before it."""
        return self.fusion.level == POINTS

    @property
    def needs_motion(self) -> bool:
        """Whether batches must bring the agents' true velocities: an oracle, which cannot drive."""
        return isinstance(self.fusion, OracleVelocity)

    # ---- from a batch

    def forward(self, batch: Batch, supervise: bool = True) -> dict[str, Tensor]:
        """``batch`` -> ``predict``'s outputs and ``fused_bev`` (B, C, rows, cols)."""
        fused = self._fused(batch)
        return self.predict(fused, batch["status"], batch["sampled_anchor"] if supervise else None)

    @torch.no_grad()
    def plan(self, batch: Batch) -> dict[str, Tensor]:
        """What to drive, for any number of samples: see ``select``."""
        return self.select(self._fused(batch), batch["status"])

    def _fused(self, batch: Batch) -> Tensor:
        if self.raw_history:
            return self._encode_stacked(batch)
        view = used_frames(batch, self.fusion.num_frames)
        if self.config.history_sensors == "lidar":
            view = lidar_history(view)
        if self.fusion.level == "bev8":
            fused = self.fuse(self._frame_maps(view), view)
            if isinstance(self.fusion, OracleVelocity):
                return self.fusion.reveal(fused, batch["agent_motion"].to(fused.dtype))
            return fused
        camera, lidar = self._inputs(view)
        fuse = Fuse(LEVELS[self.fusion.level], lambda bev: self.fuse(bev, view), view["frame_index"][:, -1])
        return self._run(self._backbone, self._backbone, camera, lidar, fuse)

    def aligned_stack(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The LiDAR history as the data moved it, as occupancy: (B, T, 1, R, C) float and the mask (B, T, 1, R, C).

        Poses in the batch other than those that it was moved by (``warp_gain`` tries some) move it by the difference.
        """
        further = compose(batch["pose"].double(), inverse(batch["lidar_stack_pose"].double()))
        occupied = (batch["lidar_stack"] > 0).to(self.trajectory_anchors.dtype)
        return TemporalFusion.warp_history(self.fusion, occupied, further, batch["valid"], self.config.lidar_grid)

    # ---- the parts

    def encode(self, camera: Tensor, lidar: Tensor, shown: Tensor | None = None) -> Tensor:
        """camera (K, 3, H, W), lidar (F, 1, R, C), floats in [0, 1] -> one BEV map per frame (F, C, rows, cols). The
        images are those of the first K frames; the others are seen by LiDAR alone.

        shown (F,): in how many windows each frame is seen, for weighted batch norms; None: once."""

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

    def predict(self, fused: Tensor, status: Tensor, sampled_anchor: Tensor | None = None) -> dict[str, Tensor]:
        """Everything that is supervised. fused (B, C, rows, cols), status (B, 8), sampled_anchor (B, S) or None.

        im_rewards (B, N) softmax · sim_rewards (B, 5, N) NC, DAC, EP, TTC, comfort · trajectory_anchors (N, P, 3) ·
        trajectory_offset (B, N, P, 3) · trajectory_offset_rewards (B, N) softmax · bev_semantic_map logits
        (B, classes, *map) · with sampled anchors fut_bev_semantic_map (B·S, classes, *map) ·
        with the agent head agent_states (B, A, 5), agent_labels (B, A) logits · fused_bev.
        """
        whole = self._scene_tokens(fused)
        scene = self._partly_hidden(whole)
        action = self._actions(self.trajectory_anchors, status)
        refined = self.offset_tf_decoder(action, scene)
        futures, im_logits, sim_logits = self._run(self.reward_conv_net, self._evaluate, scene, action)
        out = {
            "im_rewards": im_logits.softmax(-1),
            "sim_rewards": sim_logits.sigmoid(),
            "trajectory_anchors": self.trajectory_anchors,
            "trajectory_offset": self.offset_head(refined),
            "trajectory_offset_rewards": wide(self.offset_score_head(refined)).squeeze(-1).softmax(-1),
            "bev_semantic_map": self._semantic_map(whole),
            "fused_bev": fused,
        }
        if sampled_anchor is not None:
            samples = torch.arange(len(scene), device=scene.device)[:, None]
            sampled = futures[-1][samples, sampled_anchor].flatten(0, 1)  # (B·S, L, C)
            out["fut_bev_semantic_map"] = self._semantic_map(sampled + self.new_scene_bev_feature_pos_embed.weight)
        if self.config.agent_head:
            queries = self.agent_query_embedding.weight.expand(len(scene), -1, -1)
            out["agent_states"], out["agent_labels"] = self.agent_head(self.agent_tf_decoder(queries, whole))
        return out

    def select(self, fused: Tensor, status: Tensor) -> dict[str, Tensor]:
        """Refines all anchors, evaluates the refined ones (``evaluate_refined``; else the anchors), takes the best.

        trajectory (B, P, 3) · all_trajectory (B, N, P, 3) · final_rewards (B, N) · im_rewards (B, N) ·
        sim_rewards (B, 5, N) · bev_semantic_map logits (B, classes, *map) · fused_bev.
        """
        scene = self._scene_tokens(fused)
        action = self._actions(self.trajectory_anchors, status)
        refined = self.trajectory_anchors + self.offset_head(self.offset_tf_decoder(action, scene))
        evaluated = self._actions(refined, status) if self.config.evaluate_refined else action
        _, im_logits, sim_logits = self._evaluate(scene, evaluated)
        score = final_score(im_logits, sim_logits, self.config.reward_weights)
        samples = torch.arange(len(score), device=score.device)
        return {
            "trajectory": refined[samples, score.argmax(-1)],
            "all_trajectory": refined,
            "final_rewards": score,
            "im_rewards": im_logits.softmax(-1),
            "sim_rewards": sim_logits.sigmoid(),
            "bev_semantic_map": self._semantic_map(scene),
            "fused_bev": fused,
        }

    # ---- inside

    def _run(self, module: nn.Module, function: Callable[..., Any], *inputs: Any) -> Any:
        if self.config.activation_checkpointing and torch.is_grad_enabled():
            return recomputed(module, function, *inputs)
        return function(*inputs)

    def _encode_stacked(self, batch: Batch) -> Tensor:
        """Fuses what enters the LiDAR branch, and encodes the current frames alone."""
        if "lidar_stack" not in batch:
            raise ValueError("the fusion stage works on points, but the batch holds no lidar_stack")
        dtype, t = self.trajectory_anchors.dtype, self.fusion.num_frames
        stack, pose, dt, valid = (batch[key][:, -t:] for key in ("lidar_stack", "pose", "dt", "valid"))
        lidar = self.fusion(unit_range(stack, self.config.lidar_max, dtype, "lidar_stack"), pose, dt, valid)
        view = used_frames(batch, 1)
        camera = unit_range(view["camera"], 255, dtype, "camera")[view["frame_index"][:, -1]]
        return self.encode(camera, lidar)

    def _inputs(self, view: Batch) -> tuple[Tensor, Tensor]:
        """Camera and LiDAR of the view in [0, 1]."""
        dtype = self.trajectory_anchors.dtype
        camera = unit_range(view["camera"], 255, dtype, "camera")
        return camera, unit_range(view["lidar"], self.config.lidar_max, dtype, "lidar")

    def _frame_maps(self, view: Batch) -> Tensor:
        """One map per frame of the view (F, C, rows, cols): of the cache that the batch brings, or encoded, without
        gradient for the frames that shall pass none (``history_grad``)."""
        if "bev" in view:
            return view["bev"].to(self.trajectory_anchors.dtype)
        camera, lidar = self._inputs(view)
        history, count = self.config.history_grad, len(lidar)
        shown = torch.bincount(view["frame_index"][view["valid"]], minlength=count)
        if history is None or not torch.is_grad_enabled():
            return self.encode(camera, lidar, shown)
        learns = learning_frames(view["frame_index"], view["valid"], history, count)
        if learns.all():
            return self.encode(camera, lidar, shown)
        with_image = learns[: len(camera)]
        learned = self.encode(camera[with_image], lidar[learns], shown[learns])
        with torch.no_grad():
            given = self.encode(camera[~with_image], lidar[~learns], shown[~learns])
        order = torch.cat((learns.nonzero(), (~learns).nonzero()))[:, 0]
        return torch.cat((learned, given))[order.argsort()]

    def _scene_tokens(self, fused: Tensor) -> Tensor:
        """(B, C, rows, cols) -> (B, L, d), row-major."""
        return self._bev_downscale(fused).flatten(2).transpose(1, 2) + self._keyval_embedding.weight

    def _partly_hidden(self, scene: Tensor) -> Tensor:
        """In training, zeros for whole samples (``scene_dropout``) and for cells (``cell_dropout``) of (B, L, d).

        Not rescaled: a hidden scene means "not seen", and what is seen keeps its size.
        """
        c = self.config
        if not self.training or not (c.scene_dropout or c.cell_dropout):
            return scene
        seen = torch.rand(len(scene), 1, 1, device=scene.device) >= c.scene_dropout
        return scene * (seen & (torch.rand(scene.shape[:2], device=scene.device)[..., None] >= c.cell_dropout))

    def _actions(self, trajectories: Tensor, status: Tensor) -> Tensor:
        """trajectories (N, P, 3) or (B, N, P, 3), status (B, 8) -> one action per trajectory (B, N, d)."""
        status = self._status_encoding(status.to(self.trajectory_anchors.dtype))[:, None]
        # (N, P, 3) are the same for all samples and encoded once, in training with one draw of dropout for the batch.
        flat = trajectories.flatten(-2) if trajectories.ndim == 4 else trajectories.flatten(-2)[None]
        encoded = encode(self.cluster_encoder.layers, self.mlp_planning_vb(flat))
        return self.encode_ego_feat_mlp(torch.cat(torch.broadcast_tensors(status, encoded), -1))

    def _evaluate(self, scene: Tensor, action: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """scene (B, L, d), action (B, N, d) -> K imagined maps (B, N, L, d), logits (B, N) and (B, 5, N).

        An action is written into the map at the ego now, and later at the poses of its *unrefined* anchor.
        """
        anchors, k = self.trajectory_anchors, self.config.future_steps
        steps_kn2 = anchors[:, anchors.shape[1] // k - 1 :: anchors.shape[1] // k, :2].transpose(0, 1)
        grid, mode, cells = self.config.bev_grid, self.config.mode, self._ego_cells
        now_l = splat_weights(anchors.new_zeros(2), grid, mode)
        splats = splat_weights(steps_kn2, grid, mode)
        position = self.scene_position_embedding.weight
        maps, actions = roll_out(self.latent_world_model, position, scene, action, cells, now_l, splats)

        scene_bcrc = scene.transpose(1, 2).unflatten(2, grid.shape)
        futures_bncrc = torch.cat(maps, -1).transpose(2, 3).unflatten(3, grid.shape)
        pooled = self.reward_conv_net(scene_bcrc, action, now_l.unflatten(0, grid.shape), cells, futures_bncrc)
        feature = self.reward_cat_head(torch.cat((action, *actions, pooled), -1))
        sim_logits = torch.cat([wide(head(feature)) for head in self.sim_reward_heads], -1)
        return maps, wide(self.reward_head(feature)).squeeze(-1), sim_logits.transpose(1, 2)

    def _semantic_map(self, tokens: Tensor) -> Tensor:
        """(M, L, d) -> logits (M, classes, *map)."""
        c = self.config
        bev = self._bev_upscale(tokens.transpose(1, 2).unflatten(2, c.bev_grid.shape))
        logits = self.bev_semantic_head(self.bev_upsample_head(bev))
        return to_map(logits, c.bev_grid, c.map_grid, c.mode)
