"""TransFuser's planning head on the shared backbone, single- or multi-frame: queries attend to the BEV map and the
ego's state, and are read as one trajectory and the agents around; a semantic map is read from the BEV map itself.

Chitta et al., "TransFuser: Imitation with Transformer-Based Sensor Fusion for Autonomous Driving", PAMI 2023 (arXiv
2205.15997), in the form of the NAVSIM devkit's baseline (84 PDMS on navtest).
Shapes: B samples, P poses, A agents, L = rows·cols cells, C channels of the map, d of the tokens.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from wotempo.batch import Batch
from wotempo.fusion import TemporalFusion
from wotempo.planners.backbone.encoder import wide
from wotempo.planners.bev_planner import BevPlanner
from wotempo.planners.config import ModelConfig
from wotempo.planners.heads.agents import AgentHead
from wotempo.planners.heads.bev_map import BEVUpsampleHead, map_head, to_map
from wotempo.planners.heads.layers import mlp, transformer_decoder
from wotempo.planners.metrics import PlanMetrics
from wotempo.planners.shapes import common_contract
from wotempo.planners.transfuser.losses import LossWeights, compute_losses


class TransFuser(BevPlanner):
    """One transformer decoder over the cells of the fused map and one token of the ego's state. Of ``ModelConfig`` it
    reads the sizes; what belongs to anchors, rewards and imagined futures it has not."""

    loss_weights = LossWeights

    def __init__(self, config: ModelConfig, fusion: TemporalFusion) -> None:
        """``fusion`` built for the channels and grid of its level (``config.level``); UserError where it is not."""
        super().__init__(config, fusion)
        c, d = config, config.d_model
        self.bev_downscale = nn.Conv2d(c.bev_channels, d, 1)
        self.status_encoding = nn.Linear(c.status_size, d)
        self.memory_embedding = nn.Embedding(c.cells + 1, d)  # the cells, then the ego's state
        self.query_embedding = nn.Embedding(1 + c.num_agents, d)  # the trajectory, then the agents
        self.decoder = transformer_decoder(d, c.heads, c.decoder_ffn, c.decoder_layers)
        self.trajectory_head = mlp(d, c.decoder_ffn, 3 * c.num_poses)
        self.agent_head = AgentHead(d, c.decoder_ffn, c.bev_grid)
        self.bev_upsample_head = BEVUpsampleHead(c.bev_channels, c.map_channels, c.map_feature_shape)
        self.bev_semantic_head = map_head(c.map_channels, c.num_bev_classes)

    @classmethod
    def build(cls, config: ModelConfig, fusion: TemporalFusion, anchors: np.ndarray | None) -> TransFuser:
        """See ``Planner``."""
        return cls(config, fusion)

    def forward(self, batch: Batch, supervise: bool = True) -> dict[str, Tensor]:
        """See ``Planner``; the outputs of ``predict``."""
        return self.predict(self.fused(batch), batch["status"])

    def losses(self, outputs: dict[str, Tensor], batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
        """See ``Planner``."""
        return compute_losses(outputs, batch, weights)

    def metrics(self) -> PlanMetrics:
        """See ``Planner``."""
        return PlanMetrics(self.config.num_bev_classes)

    def shape_contract(self) -> dict[str, str]:
        """See ``Planner``."""
        c = self.config
        return common_contract(c, self.fusion.num_frames, self.fusion.level) | {
            "batch.agent_states": f"B {c.num_agents} 5 float",
            "batch.agent_labels": f"B {c.num_agents} bool",
            "model:out.trajectory": f"B {c.num_poses} 3 float",
            "model:out.agent_states": f"B {c.num_agents} 5 float",
            "model:out.agent_labels": f"B {c.num_agents} float",
        }

    def predict(self, fused: Tensor, status: Tensor) -> dict[str, Tensor]:
        """fused (B, C, rows, cols), status (B, 8) -> trajectory (B, P, 3) x, y (m), heading (rad) · agent_states
        (B, A, 5) x, y, heading, length, width · agent_labels (B, A) logits that the agent exists · bev_semantic_map
        logits (B, classes, *map) · fused_bev."""
        cells = self._partly_hidden(self.bev_downscale(fused).flatten(2).transpose(1, 2))
        ego = self.status_encoding(status.to(self.dtype))[:, None]
        memory = torch.cat((cells, ego.to(cells.dtype)), 1) + self.memory_embedding.weight
        queries = self.query_embedding.weight.expand(len(fused), -1, -1)
        read = self.decoder(queries, memory)
        states, labels = self.agent_head(read[:, 1:])
        poses = wide(self.trajectory_head(read[:, 0])).unflatten(-1, (self.config.num_poses, 3))
        return {
            "trajectory": torch.cat((poses[..., :2], math.pi * poses[..., 2:].tanh()), -1),
            "agent_states": states,
            "agent_labels": labels,
            "bev_semantic_map": self._semantic_map(fused),
            "fused_bev": fused,
        }

    def select(self, fused: Tensor, status: Tensor) -> dict[str, Tensor]:
        """See ``Planner``: there is one trajectory, so that nothing is chosen."""
        return self.predict(fused, status)

    def _semantic_map(self, fused: Tensor) -> Tensor:
        c = self.config
        return to_map(self.bev_semantic_head(self.bev_upsample_head(fused)), c.bev_grid, c.map_grid, c.mode)
