"""WoTE without any sharing, as the paper and the published code lay it out: the reference of the tests and the bench.

Same parameters and state dict. Every sample encodes the anchors, every trajectory has the whole map, torch's modules
run as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from wotempo.planners.backbone.encoder import wide
from wotempo.planners.wote.action import inject, splat_weights
from wotempo.planners.wote.wote import WoTE


class PlainWoTE(WoTE):
    """Use ``plain_of`` to share the parameters of a WoTE."""

    def _actions(self, trajectories: Tensor, status: Tensor) -> Tensor:
        status = self._status_encoding(status.to(self.trajectory_anchors.dtype))[:, None]
        trajectories = trajectories.expand(len(status), -1, -1, -1)
        encoded = self.cluster_encoder(self.mlp_planning_vb(trajectories.flatten(2)))
        return self.encode_ego_feat_mlp(torch.cat((status.expand_as(encoded), encoded), -1))

    def _evaluate(self, scene: Tensor, action: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        grid, k = self.config.bev_grid, self.config.future_steps
        (b, n, _), net = action.shape, self.reward_conv_net
        stride = self.config.num_poses // k
        bev = scene[:, None].expand(-1, n, -1, -1)
        bev = inject(bev, action, splat_weights(self.trajectory_anchors.new_zeros(2), grid, self.config.mode))
        maps, actions = [bev], [action]
        for step in range(k):
            tokens = torch.cat((actions[-1][:, :, None], maps[-1]), 2) + self.scene_position_embedding.weight
            tokens = self.latent_world_model(tokens.flatten(0, 1)).unflatten(0, (b, n))
            pose = self.trajectory_anchors[:, (step + 1) * stride - 1, :2]
            actions.append(tokens[:, :, 0])
            maps.append(inject(tokens[:, :, 1:], actions[-1], splat_weights(pose, grid, self.config.mode)))
        stacked = torch.cat(maps, -1).flatten(0, 1).transpose(1, 2).unflatten(2, grid.shape)
        x = F.relu(net.bn1(net.conv1(stacked)))
        pooled = F.relu(net.bn2(net.conv2(x))).mean((-2, -1)).unflatten(0, (b, n))
        feature = self.reward_cat_head(torch.cat((*actions, pooled), -1))
        sim_logits = torch.cat([wide(head(feature)) for head in self.sim_reward_heads], -1)
        return maps[1:], wide(self.reward_head(feature)).squeeze(-1), sim_logits.transpose(1, 2)


def plain_of(model: WoTE) -> PlainWoTE:
    """A twin on the same parameters and buffers."""
    twin = PlainWoTE.__new__(PlainWoTE)
    twin.__dict__ = dict(model.__dict__)
    return twin
