"""WoTE's losses: named, weighted terms whose plain sum is minimised. At least float32, under autocast too."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from wotempo.batch import Batch
from wotempo.errors import UserError
from wotempo.planners.backbone.encoder import wide
from wotempo.planners.heads.agent_matching import agent_losses
from wotempo.planners.heads.bev_map import class_weights
from wotempo.planners.imitated import imitated_mean, imitation_weight

EPSILON = 1e-6  # the probability below which a reward's logarithm is not followed
FOCAL_ALPHA, FOCAL_GAMMA = 0.5, 2.0


@dataclass(frozen=True)
class LossWeights:
    """The published weights. A term of weight 0 is not computed.

    ``map_class_weights``: one positive number per class of the BEV map, or None (published: all count alike). Road
    users are few pixels: on a small budget an encoder learns them late or never unless they count for more.
    """

    traj_offset: float
    offset_im_reward: float
    im_reward: float
    sim_reward: float
    map: float
    fut_map: float
    agent_cls: float
    agent_box: float
    forecast: float  # of the agents' next 4 s; needs model.path_scores
    map_class_weights: list[float] | None

    def __post_init__(self) -> None:
        if self.map_class_weights is not None and not all(w > 0 for w in self.map_class_weights):
            raise UserError(f"losses.map_class_weights are {self.map_class_weights}: give positive numbers")


def compute_losses(predictions: dict[str, Tensor], batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
    """``WoTE.forward``'s outputs and the batch they came from -> name of the term -> weighted scalar.

    The names are the fields of ``LossWeights``, in their order, without those of weight 0 and ``forecast``, which is
    the head's.
    """
    classes = class_weights(weights.map_class_weights, predictions["bev_semantic_map"])
    with torch.autocast(predictions["im_rewards"].device.type, enabled=False):
        predicted = {key: wide(value) for key, value in predictions.items() if key != "fused_bev"}
        anchors = predicted["trajectory_anchors"].flatten(1)
        expert = batch["trajectory"].to(anchors.dtype).flatten(1)
        distance_bn = torch.linalg.vector_norm(anchors - expert[:, None], dim=-1)  # metres and radians alike, as WoTE
        taught = imitation_weight(batch, anchors)
        terms = {
            "traj_offset": lambda: offset_loss(predicted["trajectory_offset"], anchors, expert, distance_bn, taught),
            "offset_im_reward": lambda: imitation_loss(predicted["trajectory_offset_rewards"], distance_bn, taught),
            "im_reward": lambda: imitation_loss(predicted["im_rewards"], distance_bn, taught),
            "sim_reward": lambda: simulation_loss(predicted["sim_rewards"], batch["sim_reward"]),
            "map": lambda: focal_loss(predicted["bev_semantic_map"], batch["bev_map"], classes),
            "fut_map": lambda: focal_loss(
                predicted["fut_bev_semantic_map"], batch["future_map"].flatten(0, 1), classes
            ),
        }
        losses = {name: getattr(weights, name) * term() for name, term in terms.items() if getattr(weights, name)}
        if weights.agent_cls or weights.agent_box:
            if "agent_states" not in predicted:
                raise UserError(
                    "losses.agent_cls and agent_box need the agent head: set model.agent_head=true, or both to 0"
                )
            losses |= agent_losses(predicted, batch, weights.agent_cls, weights.agent_box)
    return losses


def offset_loss(offset: Tensor, anchors: Tensor, expert: Tensor, distance: Tensor, taught: Tensor) -> Tensor:
    """Mean |error| of the refinement of the anchor nearest to the expert; the others are free.

    offset (B, N, P, 3), anchors (N, 3P), expert (B, 3P), distance (B, N), taught (B,) ``imitation_weight``.
    """
    nearest = distance.argmin(1)
    chosen = offset.flatten(2)[torch.arange(len(nearest), device=nearest.device), nearest]
    return imitated_mean(F.l1_loss(chosen, expert - anchors[nearest], reduction="none"), taught)


def imitation_loss(reward: Tensor, distance: Tensor, taught: Tensor) -> Tensor:
    """Cross-entropy of the predicted distribution over anchors with softmax(-distance). Both (B, N), taught (B,)
    ``imitation_weight``."""
    target = (-distance).softmax(-1)
    return -imitated_mean((target * reward.clamp(EPSILON, 1 - EPSILON).log()).sum(-1), taught)


def simulation_loss(reward: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy, summed over the five sub-scores. reward (B, 5, N) in [0, 1], target (B, 5, N) in [0, 1]."""
    target = target.to(reward.dtype)
    likelihood = target * (reward + EPSILON).log() + (1 - target) * (1 - reward + EPSILON).log()
    return -reward.shape[1] * likelihood.mean()


def focal_loss(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Multi-class focal loss with a scalar alpha, the mean over all cells. logits (M, K, R, C), target (M, R, C) class
    indices; ``class_weights`` (K,) multiply the loss of a cell by its true class. Lin et al., arXiv 1708.02002."""
    cross_entropy = F.cross_entropy(logits, target.long(), reduction="none")
    confidence = (-cross_entropy).exp().clamp(min=EPSILON)
    loss = FOCAL_ALPHA * (1 - confidence) ** FOCAL_GAMMA * cross_entropy
    return (loss if class_weights is None else loss * class_weights[target.long()]).mean()
