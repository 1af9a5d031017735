"""WoTE, single- or multi-frame: anchors are imagined forward on a BEV map, scored, refined, and the best one is driven.

Li et al., "End-to-End Driving with Online Trajectory Evaluation via BEV World Model", ICCV 2025 (arXiv 2504.01941).
Attribute names are the state-dict keys of the published checkpoints; ``fusion`` is the only addition.
Shapes: F frames, B samples, T window, N anchors, P poses, L = rows·cols cells, C channels, K future steps, S sampled.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from wotempo.batch import Batch
from wotempo.errors import UserError
from wotempo.fusion import TemporalFusion
from wotempo.planners.backbone.encoder import encode, transformer_encoder, wide
from wotempo.planners.bev_planner import BevPlanner
from wotempo.planners.config import ModelConfig
from wotempo.planners.heads.agents import AgentHead
from wotempo.planners.heads.bev_map import BEVUpsampleHead, map_head, to_map
from wotempo.planners.heads.forecast import STATE, ForecastHead
from wotempo.planners.heads.layers import keep_size, mlp, transformer_decoder
from wotempo.planners.shapes import common_contract
from wotempo.planners.wote.action import ego_cells, splat_weights
from wotempo.planners.wote.along_path import AlongPath
from wotempo.planners.wote.losses import LossWeights, compute_losses
from wotempo.planners.wote.metrics import ValidationMetrics
from wotempo.planners.wote.offset import OffsetHead
from wotempo.planners.wote.reward import RewardConvNet, final_score
from wotempo.planners.wote.world_model import roll_out

LEARNT_BY = {  # heads, and the loss terms without which nothing trains them
    "offset_head": ("traj_offset",),
    "offset_score_head": ("offset_im_reward",),
    "offset_tf_decoder": ("traj_offset", "offset_im_reward"),
    "reward_head": ("im_reward",),
    "sim_reward_heads": ("sim_reward",),
    "new_scene_bev_feature_pos_embed": ("fut_map",),
    "bev_upsample_head": ("map", "fut_map"),
    "bev_semantic_head": ("map", "fut_map"),
    "_bev_upscale": ("map", "fut_map"),
    "forecast_head": ("sim_reward", "forecast"),
    "along_path": ("sim_reward",),
}
LIKELIEST = 32  # forecast agents that a trajectory is held against


class WoTE(BevPlanner):
    """See the module. ``encode`` → ``fuse`` → ``predict`` (training) or ``select`` (driving); ``forward`` and ``plan``
    do all of it on a batch of ``wotempo.data``."""

    loss_weights = LossWeights
    needs_anchors = True
    needs_labels = True
    variants = MappingProxyType({"imitation": {"reward_weights": (1.0, 0.0, 0.0, 0.0)}})  # by that reward alone

    def __init__(self, config: ModelConfig, anchors: Tensor, fusion: TemporalFusion) -> None:
        """anchors (N, P, 3) x, y, heading in the ego frame; ``fusion`` built for the channels and grid of its level
        (``config.level``). UserError where they do not fit ``config``."""
        super().__init__(config, fusion)
        c, d = config, config.d_model
        if anchors.shape != (c.num_anchors, c.num_poses, 3):
            raise UserError(
                f"the anchors are {tuple(anchors.shape)}, not ({c.num_anchors}, {c.num_poses}, 3): "
                "give another anchors file, or set model.num_anchors"
            )
        self._ego_cells = ego_cells(c.bev_grid, c.mode)
        self.trajectory_anchors = nn.Parameter(anchors.float().clone(), requires_grad=False)
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
        self.bev_semantic_head = map_head(c.map_channels, c.num_bev_classes)
        self._bev_upscale = nn.Conv2d(d, c.bev_channels, 1)
        self.new_scene_bev_feature_pos_embed = nn.Embedding(c.cells, d)

        self.offset_tf_decoder = transformer_decoder(d, c.heads, c.decoder_ffn, c.decoder_layers)
        self.offset_head = OffsetHead(d, c.decoder_ffn, c.num_poses)
        self.offset_score_head = mlp(d, d // 2, 1)
        if c.head_init == "kaiming":
            scoring = (self.reward_cat_head, self.reward_head, self.sim_reward_heads, self.offset_score_head)
            for stack in (self.mlp_planning_vb, self.encode_ego_feat_mlp, *scoring):
                keep_size(stack)
        if c.path_scores:
            fine = self.config.level(fusion.level)[0] if self.unfolds else 0
            self.forecast_head = ForecastHead(c.bev_channels, fine, c.map_channels, c.forecast_grid, c.num_poses)
            self.along_path = AlongPath(c.num_poses, c.status_size)
        if not c.agent_head:  # parameters that nothing runs must not wait for gradients (DDP)
            for unused in (self.agent_query_embedding, self.agent_head, self.agent_tf_decoder):
                unused.requires_grad_(False)

    @classmethod
    def build(cls, config: ModelConfig, fusion: TemporalFusion, anchors: np.ndarray | None) -> WoTE:
        """See ``Planner``."""
        if anchors is None:
            raise ValueError("a WoTE is built with its anchors: the run's, or the checkpoint's trajectory_anchors")
        return cls(config, torch.as_tensor(anchors), fusion)

    # ---- from a batch

    def forward(self, batch: Batch, supervise: bool = True) -> dict[str, Tensor]:
        """batch of ``wotempo.data`` -> ``predict``'s outputs and ``fused_bev`` (B, C, rows, cols)."""
        return self.predict(self.fused(batch), batch["status"], batch["sampled_anchor"] if supervise else None)

    def losses(self, outputs: dict[str, Tensor], batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
        """See ``Planner``."""
        losses = compute_losses(outputs, batch, weights)
        if weights.forecast:
            if not self.config.path_scores:
                raise UserError("losses.forecast needs the forecast head: set model.path_scores=true, or it to 0")
            truth = batch["agent_future"]
            losses["forecast"] = weights.forecast * self.forecast_head.losses(outputs["forecast"], truth)
        return losses

    def not_trained(self, weights: LossWeights) -> dict[str, str]:
        """See ``Planner``."""
        found = {**super().not_trained(weights), "trajectory_anchors": "anchors are given"}
        if not self.config.agent_head:
            unused = ("agent_query_embedding", "agent_head", "agent_tf_decoder")
            found |= dict.fromkeys(unused, "model.agent_head is false")
        for heads, terms in LEARNT_BY.items():
            if hasattr(self, heads) and not any(getattr(weights, term) for term in terms):
                found[heads] = f"losses.{' and '.join(terms)} are 0"
        return found

    def metrics(self) -> ValidationMetrics:
        """See ``Planner``."""
        return ValidationMetrics(self.config.num_bev_classes)

    def shape_contract(self) -> dict[str, str]:
        """See ``Planner``."""
        c = self.config
        rows, cols = c.map_shape
        return common_contract(c, self.fusion.num_frames, self.fusion.level) | {
            "batch.sim_reward": "B 5 N float",
            "batch.sampled_anchor": "B S int64",
            "batch.future_map": f"B S {rows} {cols} uint8",
            "model:out.im_rewards": "B N float",
            "model:out.sim_rewards": "B 5 N float",
            "model:out.trajectory_offset": f"B N {c.num_poses} 3 float",
            "model:out.trajectory_offset_rewards": "B N float",
            "model:out.fut_bev_semantic_map": f"M {c.num_bev_classes} {rows} {cols} float",
            **(self._forecast_contract() if c.path_scores else {}),
        }

    def _forecast_contract(self) -> dict[str, str]:
        rows, cols = self.config.forecast_grid.shape
        poses = self.config.num_poses
        return {
            "batch.agent_future": f"B A {5 + 3 * poses} float",
            "model:out.forecast": f"B {STATE + 2 * poses} {rows} {cols} float",
        }

    # ---- the parts

    def predict(self, fused: Tensor, status: Tensor, sampled_anchor: Tensor | None = None) -> dict[str, Tensor]:
        """Everything that is supervised. fused (B, C, rows, cols), status (B, 8), sampled_anchor (B, S) or None.

        im_rewards (B, N) softmax · sim_rewards (B, 5, N) NC, DAC, EP, TTC, comfort · trajectory_anchors (N, P, 3) ·
        trajectory_offset (B, N, P, 3) · trajectory_offset_rewards (B, N) softmax · bev_semantic_map logits
        (B, classes, *map) · with sampled anchors fut_bev_semantic_map (B·S, classes, *map) ·
        with the agent head agent_states (B, A, 5), agent_labels (B, A) logits · fused_bev.
        """
        coarse, fine = self._unfolded(fused)
        whole = self._scene_tokens(coarse)
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
        if self.config.path_scores:
            out["forecast"] = self.forecast_head(coarse, fine)
            found = self._along(self.trajectory_anchors, status, out["forecast"], out["bev_semantic_map"])
            out["sim_rewards"] = (sim_logits + found).sigmoid()
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
        coarse, fine = self._unfolded(fused)
        scene = self._scene_tokens(coarse)
        action = self._actions(self.trajectory_anchors, status)
        refined = self.trajectory_anchors + self.offset_head(self.offset_tf_decoder(action, scene))
        evaluated = self._actions(refined, status) if self.config.evaluate_refined else action
        _, im_logits, sim_logits = self._evaluate(scene, evaluated)
        semantic_map = self._semantic_map(scene)
        paths = refined if self.config.evaluate_refined else self.trajectory_anchors.expand_as(refined)
        if self.config.path_scores:
            sim_logits = sim_logits + self._along(paths, status, self.forecast_head(coarse, fine), semantic_map)
        driven = refined if self.config.drive_refined else paths
        score = final_score(im_logits, sim_logits, self.config.reward_weights)
        samples = torch.arange(len(score), device=score.device)
        return {
            "trajectory": driven[samples, score.argmax(-1)],
            "all_trajectory": driven,
            "final_rewards": score,
            "im_rewards": im_logits.softmax(-1),
            "sim_rewards": sim_logits.sigmoid(),
            "bev_semantic_map": semantic_map,
            "fused_bev": fused,
        }

    def anchor_scores(self, fused: Tensor, status: Tensor) -> Tensor:
        """See ``Planner``: what training compares with the labels, ``predict``'s ``sim_rewards``."""
        coarse, fine = self._unfolded(fused)
        scene = self._scene_tokens(coarse)
        logits = self._evaluate(scene, self._actions(self.trajectory_anchors, status))[2]
        if self.config.path_scores:
            semantic_map = self._semantic_map(scene)
            logits = logits + self._along(
                self.trajectory_anchors, status, self.forecast_head(coarse, fine), semantic_map
            )
        return logits.sigmoid()

    # ---- inside

    def _along(self, paths: Tensor, status: Tensor, forecast: Tensor, semantic_map: Tensor) -> Tensor:
        """Logits (B, 5, N) that the sub-scores of ``paths`` gain from what lies along them."""
        agents = self.forecast_head.agents(forecast, LIKELIEST)
        return self.along_path(wide(paths), status, agents, wide(semantic_map), self.config.map_grid)

    def _scene_tokens(self, fused: Tensor) -> Tensor:
        """(B, C, rows, cols) -> (B, L, d), row-major."""
        return self._bev_downscale(fused).flatten(2).transpose(1, 2) + self._keyval_embedding.weight

    def _actions(self, trajectories: Tensor, status: Tensor) -> Tensor:
        """trajectories (N, P, 3) or (B, N, P, 3), status (B, 8) -> one action per trajectory (B, N, d)."""
        status = self._status_encoding(status.to(self.dtype))[:, None]
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
