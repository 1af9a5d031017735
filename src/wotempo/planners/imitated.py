"""Loss terms that compare with the human's trajectory, where some samples have none to imitate."""

from __future__ import annotations

from torch import Tensor

from wotempo.batch import Batch


def imitation_weight(batch: Batch, like: Tensor) -> Tensor:
    """(B,) of the type of ``like``: 0 for samples without a trajectory to imitate, else what makes the mean over all
    samples the mean over those that have one: exactly 1 where all have. No sample, no loss."""
    has = batch["imitation"].to(like.dtype)
    return has * (len(has) / has.sum().clamp(min=1.0))


def imitated_mean(loss: Tensor, weight: Tensor) -> Tensor:
    """Mean over the samples to imitate, and over what else there is of each. loss (B, …), weight (B,)."""
    return (loss * weight.reshape(-1, *(1 for _ in loss.shape[1:]))).mean()
