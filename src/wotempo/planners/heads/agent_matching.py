"""The loss of predicted agents: a set of boxes matched to the true ones (DETR, Carion et al., ECCV 2020)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from wotempo.batch import Batch


def agent_losses(
    predicted: dict[str, Tensor], batch: Batch, class_weight: float, box_weight: float
) -> dict[str, Tensor]:
    """Predictions are matched to true slots, the empty ones included, at the least total cost.

    ``agent_states`` (B, A, 5) and ``agent_labels`` (B, A), logits in predicted and bool in the batch -> ``agent_cls``,
    the mean classification loss, and ``agent_box``, the L1 of the boxes per existing agent; both weighted, without
    those of weight 0. The matching weighs as the loss does; of a box it reads x, y.
    """
    states, logits = predicted["agent_states"], predicted["agent_labels"]
    true_states, exists = batch["agent_states"].to(states.dtype), batch["agent_labels"]
    truth = exists.to(logits.dtype)
    b, n = truth.shape
    with torch.no_grad():
        pairs_bnm = (b, n, n)  # prediction n, truth m
        cost = class_weight * F.binary_cross_entropy_with_logits(
            logits[:, :, None].expand(pairs_bnm), truth[:, None].expand(pairs_bnm), reduction="none"
        ) + box_weight * truth[:, None] * torch.cdist(states[..., :2], true_states[..., :2], p=1.0)
        match = assigned(cost)
    samples = torch.arange(b, device=exists.device)[:, None]
    truth, true_states = truth[samples, match], true_states[samples, match]
    box = ((states - true_states).abs().sum(-1) * truth).sum() / truth.sum().clamp(min=1)
    terms = {}
    if class_weight:
        terms["agent_cls"] = class_weight * F.binary_cross_entropy_with_logits(logits, truth)
    if box_weight:
        terms["agent_box"] = box_weight * box
    return terms


def assigned(cost: Tensor) -> Tensor:
    """cost (B, N, N) of pairs -> the partner of each row (B, N) int64, at the least total cost (Kuhn, 1955). Found on
    the host, which waits for the device."""
    from scipy.optimize import linear_sum_assignment  # half a second of imports, of which most runs need nothing

    match = torch.stack([torch.as_tensor(linear_sum_assignment(matrix)[1]) for matrix in cost.cpu().numpy()])
    return match.to(cost.device)
