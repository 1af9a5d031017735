"""The loss of predicted agents: a set of boxes matched to the true ones (DETR, Carion et al., ECCV 2020)."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F


def agent_losses(
    states: Tensor, logits: Tensor, true_states: Tensor, exists: Tensor, class_weight: float, box_weight: float
) -> tuple[Tensor, Tensor]:
    """Predictions are matched to true slots, the empty ones included, at the least total cost.

    states (B, A, 5), logits (B, A), true_states (B, A, 5), exists (B, A) bool -> mean classification loss, and the L1
    of the boxes per existing agent, both unweighted. The matching weighs as the loss does; of a box it reads x, y.
    """
    truth = exists.to(logits.dtype)
    b, n = truth.shape
    with torch.no_grad():
        pairs_bnm = (b, n, n)  # prediction n, truth m
        cost = class_weight * F.binary_cross_entropy_with_logits(
            logits[:, :, None].expand(pairs_bnm), truth[:, None].expand(pairs_bnm), reduction="none"
        ) + box_weight * truth[:, None] * torch.cdist(states[..., :2], true_states[..., :2], p=1.0)
        match = torch.stack([torch.as_tensor(linear_sum_assignment(matrix)[1]) for matrix in cost.cpu().numpy()])
        match = match.to(exists.device)
    samples = torch.arange(b, device=exists.device)[:, None]
    truth, true_states = truth[samples, match], true_states[samples, match]
    box = ((states - true_states).abs().sum(-1) * truth).sum() / truth.sum().clamp(min=1)
    return F.binary_cross_entropy_with_logits(logits, truth), box
